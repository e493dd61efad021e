//! Every value of `spec/metallb.md` §8.1, and those of our own.

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes what is rendered, where this is also set.
    Changes(&'static str),
    /// It doesn't, and the notes name it.
    Nothing,
    /// It changes what admission warns of, where this is also set, and the notes name it.
    Warnings(&'static str),
}

use Effect::{Changes, Nothing, Warnings};

impl Effect {
    /// What must be set for the value to count.
    pub(crate) fn around(self) -> &'static str {
        match self {
            Changes(around) | Warnings(around) => around,
            Nothing => "",
        }
    }

    /// What the documentation calls it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Changes(_) => "yes",
            Nothing => "none",
            Warnings(_) => "warnings",
        }
    }
}

const ALWAYS: Effect = Changes("");
const POD_MONITOR: Effect = Changes(
    "prometheus: {podMonitor: {enabled: true}, serviceAccount: prometheus, namespace: monitoring}",
);
const SERVICE_MONITOR: Effect = Changes(
    "prometheus: {serviceMonitor: {enabled: true}, serviceAccount: prometheus, namespace: monitoring}",
);
const RULE: Effect = Changes("prometheus: {prometheusRule: {enabled: true}}");
const POLICIES: Effect = Changes("networkpolicies: {enabled: true}");

/// Path, default, another value, and what comes of it.
pub(crate) type Row = (&'static str, &'static str, &'static str, Effect);

pub(crate) const VALUES: &[Row] = &[
    ("imagePullSecrets", "[]", "[{name: pull}]", ALWAYS),
    ("nameOverride", "''", "other", ALWAYS),
    ("fullnameOverride", "''", "other", ALWAYS),
    ("loadBalancerClass", "''", "example.com/lb", ALWAYS),
    ("rbac.create", "true", "false", ALWAYS),
    (
        "tls.cipherSuites",
        "''",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        Changes("tls: {minVersion: VersionTLS12}"),
    ),
    ("tls.curvePreferences", "''", "'29'", ALWAYS),
    ("tls.minVersion", "''", "VersionTLS12", ALWAYS),
    ("tls.controllerMetricsTLSSecret", "''", "cert", ALWAYS),
    ("tls.speakerMetricsTLSSecret", "''", "cert", ALWAYS),
    ("prometheus.scrapeAnnotations", "false", "true", ALWAYS),
    ("prometheus.metricsPort", "9120", "9999", ALWAYS),
    (
        "prometheus.rbacPrometheus",
        "true",
        "false",
        SERVICE_MONITOR,
    ),
    ("prometheus.serviceAccount", "''", "other", SERVICE_MONITOR),
    ("prometheus.namespace", "''", "other", SERVICE_MONITOR),
    (
        "prometheus.podMonitor.enabled",
        "false",
        "true",
        Changes("prometheus: {rbacPrometheus: false}"),
    ),
    (
        "prometheus.podMonitor.additionalLabels",
        "{}",
        "{a: b}",
        POD_MONITOR,
    ),
    (
        "prometheus.podMonitor.annotations",
        "{}",
        "{a: b}",
        POD_MONITOR,
    ),
    (
        "prometheus.podMonitor.jobLabel",
        "app.kubernetes.io/name",
        "job",
        POD_MONITOR,
    ),
    ("prometheus.podMonitor.interval", "null", "15s", POD_MONITOR),
    (
        "prometheus.podMonitor.metricRelabelings",
        "[]",
        "[{action: drop}]",
        POD_MONITOR,
    ),
    (
        "prometheus.podMonitor.relabelings",
        "[]",
        "[{action: drop}]",
        POD_MONITOR,
    ),
    (
        "prometheus.podMonitor.tlsConfig.insecureSkipVerify",
        "true",
        "false",
        POD_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.enabled",
        "false",
        "true",
        Changes("prometheus: {rbacPrometheus: false}"),
    ),
    (
        "prometheus.serviceMonitor.speaker.additionalLabels",
        "{}",
        "{a: b}",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.speaker.annotations",
        "{}",
        "{a: b}",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.speaker.tlsConfig.insecureSkipVerify",
        "true",
        "false",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.controller.additionalLabels",
        "{}",
        "{a: b}",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.controller.annotations",
        "{}",
        "{a: b}",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.controller.tlsConfig.insecureSkipVerify",
        "true",
        "false",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.jobLabel",
        "app.kubernetes.io/name",
        "job",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.interval",
        "null",
        "15s",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.metricRelabelings",
        "[]",
        "[{action: drop}]",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.relabelings",
        "[]",
        "[{action: drop}]",
        SERVICE_MONITOR,
    ),
    ("prometheus.prometheusRule.enabled", "false", "true", ALWAYS),
    (
        "prometheus.prometheusRule.additionalLabels",
        "{}",
        "{a: b}",
        RULE,
    ),
    (
        "prometheus.prometheusRule.annotations",
        "{}",
        "{a: b}",
        RULE,
    ),
    (
        "prometheus.prometheusRule.staleConfig.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.staleConfig.labels.severity",
        "warning",
        "page",
        RULE,
    ),
    (
        "prometheus.prometheusRule.configNotLoaded.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.configNotLoaded.labels.severity",
        "warning",
        "page",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolExhausted.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolExhausted.labels.severity",
        "critical",
        "page",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolExhausted.excludePools",
        "''",
        "small.*",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolUsage.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolUsage.thresholds",
        "[{percent: 75, labels: {severity: warning}}, {percent: 85, labels: {severity: warning}}, \
         {percent: 95, labels: {severity: critical}}]",
        "[{percent: 50}]",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolUsage.excludePools",
        "''",
        "small.*",
        RULE,
    ),
    (
        "prometheus.prometheusRule.bgpSessionDown.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.bgpSessionDown.labels.severity",
        "critical",
        "page",
        RULE,
    ),
    (
        "prometheus.prometheusRule.extraAlerts",
        "[]",
        "[{alert: A, expr: b}]",
        RULE,
    ),
    ("controller.enabled", "true", "false", ALWAYS),
    ("controller.logLevel", "info", "debug", ALWAYS),
    ("controller.command", "''", "/other", ALWAYS),
    ("controller.webhookMode", "enabled", "onlywebhook", ALWAYS),
    ("controller.image.tag", "null", "v9", ALWAYS),
    ("controller.image.pullPolicy", "null", "Always", ALWAYS),
    (
        "controller.strategy.type",
        "RollingUpdate",
        "Recreate",
        ALWAYS,
    ),
    ("controller.serviceAccount.create", "true", "false", ALWAYS),
    ("controller.serviceAccount.name", "''", "other", ALWAYS),
    (
        "controller.serviceAccount.annotations",
        "{}",
        "{a: b}",
        ALWAYS,
    ),
    (
        "controller.securityContext.runAsNonRoot",
        "true",
        "false",
        ALWAYS,
    ),
    (
        "controller.securityContext.runAsUser",
        "65534",
        "1000",
        ALWAYS,
    ),
    (
        "controller.securityContext.fsGroup",
        "65534",
        "1000",
        ALWAYS,
    ),
    ("controller.resources", "{}", "{limits: {cpu: 1}}", ALWAYS),
    ("controller.nodeSelector", "{}", "{a: b}", ALWAYS),
    (
        "controller.tolerations",
        "[]",
        "[{operator: Exists}]",
        ALWAYS,
    ),
    ("controller.priorityClassName", "''", "high", ALWAYS),
    ("controller.runtimeClassName", "''", "other", ALWAYS),
    ("controller.affinity", "{}", "{podAffinity: {}}", ALWAYS),
    ("controller.podAnnotations", "{}", "{a: b}", ALWAYS),
    ("controller.labels", "{}", "{a: b}", ALWAYS),
    ("controller.livenessProbe.enabled", "true", "false", ALWAYS),
    (
        "controller.livenessProbe.port",
        "17472",
        "17473",
        Changes("controller: {readinessProbe: {enabled: false}}"),
    ),
    (
        "controller.livenessProbe.failureThreshold",
        "3",
        "4",
        ALWAYS,
    ),
    (
        "controller.livenessProbe.initialDelaySeconds",
        "10",
        "4",
        ALWAYS,
    ),
    ("controller.livenessProbe.periodSeconds", "10", "4", ALWAYS),
    (
        "controller.livenessProbe.successThreshold",
        "1",
        "4",
        ALWAYS,
    ),
    ("controller.livenessProbe.timeoutSeconds", "1", "4", ALWAYS),
    ("controller.readinessProbe.enabled", "true", "false", ALWAYS),
    (
        "controller.readinessProbe.port",
        "17472",
        "17473",
        Changes("controller: {livenessProbe: {enabled: false}}"),
    ),
    (
        "controller.readinessProbe.failureThreshold",
        "3",
        "4",
        ALWAYS,
    ),
    (
        "controller.readinessProbe.initialDelaySeconds",
        "10",
        "4",
        ALWAYS,
    ),
    ("controller.readinessProbe.periodSeconds", "10", "4", ALWAYS),
    (
        "controller.readinessProbe.successThreshold",
        "1",
        "4",
        ALWAYS,
    ),
    ("controller.readinessProbe.timeoutSeconds", "1", "4", ALWAYS),
    ("controller.extraContainers", "[]", "[{name: side}]", ALWAYS),
    ("speaker.enabled", "true", "false", ALWAYS),
    ("speaker.logLevel", "info", "debug", ALWAYS),
    ("speaker.command", "''", "/other", ALWAYS),
    ("speaker.tolerateMaster", "true", "false", ALWAYS),
    ("speaker.memberlist.enabled", "true", "false", ALWAYS),
    ("speaker.memberlist.mlBindPort", "7946", "7947", ALWAYS),
    (
        "speaker.memberlist.mlBindAddrOverride",
        "''",
        "192.0.2.1",
        ALWAYS,
    ),
    (
        "speaker.memberlist.mlSecretKeyPath",
        "/etc/ml_secret_key",
        "/etc/other",
        ALWAYS,
    ),
    ("speaker.secretName", "''", "other", ALWAYS),
    ("speaker.wanConfig", "false", "true", ALWAYS),
    ("speaker.excludeInterfaces.enabled", "true", "false", ALWAYS),
    ("speaker.ignoreExcludeLB", "false", "true", ALWAYS),
    ("speaker.bgpDebounceTimeout", "null", "500", Nothing),
    ("speaker.image.tag", "null", "v9", ALWAYS),
    ("speaker.image.pullPolicy", "null", "Always", ALWAYS),
    (
        "speaker.updateStrategy.type",
        "RollingUpdate",
        "OnDelete",
        ALWAYS,
    ),
    ("speaker.serviceAccount.create", "true", "false", ALWAYS),
    ("speaker.serviceAccount.name", "''", "other", ALWAYS),
    ("speaker.serviceAccount.annotations", "{}", "{a: b}", ALWAYS),
    ("speaker.securityContext", "{}", "{runAsGroup: 0}", ALWAYS),
    ("speaker.resources", "{}", "{limits: {cpu: 1}}", ALWAYS),
    ("speaker.nodeSelector", "{}", "{a: b}", ALWAYS),
    ("speaker.tolerations", "[]", "[{operator: Exists}]", ALWAYS),
    ("speaker.priorityClassName", "''", "high", ALWAYS),
    ("speaker.affinity", "{}", "{podAffinity: {}}", ALWAYS),
    ("speaker.runtimeClassName", "''", "other", ALWAYS),
    ("speaker.podAnnotations", "{}", "{a: b}", ALWAYS),
    ("speaker.labels", "{}", "{a: b}", ALWAYS),
    ("speaker.livenessProbe.enabled", "true", "false", ALWAYS),
    (
        "speaker.livenessProbe.port",
        "17472",
        "17473",
        Changes("speaker: {readinessProbe: {enabled: false}}"),
    ),
    ("speaker.livenessProbe.failureThreshold", "3", "4", ALWAYS),
    (
        "speaker.livenessProbe.initialDelaySeconds",
        "10",
        "4",
        ALWAYS,
    ),
    ("speaker.livenessProbe.periodSeconds", "10", "4", ALWAYS),
    ("speaker.livenessProbe.successThreshold", "1", "4", ALWAYS),
    ("speaker.livenessProbe.timeoutSeconds", "1", "4", ALWAYS),
    ("speaker.readinessProbe.enabled", "true", "false", ALWAYS),
    (
        "speaker.readinessProbe.port",
        "17472",
        "17473",
        Changes("speaker: {livenessProbe: {enabled: false}}"),
    ),
    ("speaker.readinessProbe.failureThreshold", "3", "4", ALWAYS),
    (
        "speaker.readinessProbe.initialDelaySeconds",
        "10",
        "4",
        ALWAYS,
    ),
    ("speaker.readinessProbe.periodSeconds", "10", "4", ALWAYS),
    ("speaker.readinessProbe.successThreshold", "1", "4", ALWAYS),
    ("speaker.readinessProbe.timeoutSeconds", "1", "4", ALWAYS),
    ("speaker.startupProbe.enabled", "true", "false", Nothing),
    ("speaker.startupProbe.failureThreshold", "30", "4", Nothing),
    ("speaker.startupProbe.periodSeconds", "5", "4", Nothing),
    ("speaker.frr.enabled", "false", "true", Warnings("")),
    ("speaker.frr.image.pullPolicy", "null", "Always", Nothing),
    ("speaker.frr.metricsPort", "9121", "9122", Nothing),
    ("speaker.frr.resources", "{}", "{limits: {cpu: 1}}", Nothing),
    (
        "speaker.reloader.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    (
        "speaker.frrMetrics.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    (
        "speaker.initContainers.cpFrrFiles.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    (
        "speaker.initContainers.cpReloader.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    (
        "speaker.initContainers.cpMetrics.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    ("speaker.extraContainers", "[]", "[{name: side}]", ALWAYS),
    (
        "crds.enabled",
        "true",
        "false",
        Changes("crds: {enabled: true}"),
    ),
    ("crds.validationFailurePolicy", "Fail", "Ignore", ALWAYS),
    (
        "frrk8s.secretPassthrough",
        "false",
        "true",
        Changes("frrk8s: {external: true, namespace: frr}"),
    ),
    (
        "frrk8s.external",
        "false",
        "true",
        Changes("frrk8s: {namespace: frr}"),
    ),
    (
        "frrk8s.namespace",
        "''",
        "frr",
        Changes("frrk8s: {external: true, namespace: other}"),
    ),
    (
        "frr-k8s.prometheus.serviceMonitor.enabled",
        "false",
        "true",
        Nothing,
    ),
    ("networkpolicies.enabled", "false", "true", ALWAYS),
    ("networkpolicies.defaultDeny", "false", "true", POLICIES),
    ("networkpolicies.apiPort", "6443", "443", POLICIES),
    // Defaults of our own: MetalLB's images aren't ours, and frr-k8s isn't needed.
    (
        "controller.image.repository",
        "corten",
        "registry.example/corten",
        ALWAYS,
    ),
    (
        "speaker.image.repository",
        "corten",
        "registry.example/corten",
        ALWAYS,
    ),
    (
        "speaker.frr.image.repository",
        "''",
        "registry.example/frr",
        Nothing,
    ),
    ("speaker.frr.image.tag", "''", "v9", Nothing),
    ("frrk8s.enabled", "false", "true", Warnings("")),
    // Values of our own.
    ("controller.replicas", "1", "2", ALWAYS),
    ("controller.leaderElection.enabled", "true", "false", ALWAYS),
    ("speaker.ownership", "metallb", "sticky", ALWAYS),
    (
        "frrk8s.takeOver",
        "false",
        "true",
        Changes("frrk8s: {external: true, namespace: frr}"),
    ),
    (
        "speaker.memberlist.detector",
        "fast",
        "conservative",
        ALWAYS,
    ),
    (
        "prometheus.prometheusRule.addressConflict.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressConflict.labels.severity",
        "critical",
        "page",
        RULE,
    ),
];
