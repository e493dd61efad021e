{{/*
What the pods of both components have in common. Each takes a list of the root and the component's
name.
*/}}
{{- define "corten.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
labels:
  {{- include "corten.instance" $root | nindent 2 }}
  app.kubernetes.io/component: {{ $component }}
  {{- with include "corten.ownLabels" $values | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- if or $values.podAnnotations $root.Values.prometheus.scrapeAnnotations }}
annotations:
  {{- if $root.Values.prometheus.scrapeAnnotations }}
  prometheus.io/scrape: "true"
  prometheus.io/port: {{ $root.Values.prometheus.metricsPort | quote }}
  {{- end }}
  {{- with $values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* Labels of a component's values; numbers become texts, as in MetalLB's chart. */ -}}
{{- define "corten.ownLabels" -}}
{{- range $key, $value := .labels }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "corten.podPlacement" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
nodeSelector:
  kubernetes.io/os: linux
  {{- with $values.nodeSelector }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Image and command: one image runs both, so the name of the command is given. */ -}}
{{- define "corten.image" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
image: {{ printf "%s:%s" $values.image.repository ($values.image.tag | default $root.Chart.AppVersion) | quote }}
{{- with $values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
command: [{{ $values.command | default (printf "/%s" $component) | quote }}]
{{- end -}}

{{- /* Arguments both know. */ -}}
{{- define "corten.arguments" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
- --port={{ $root.Values.prometheus.metricsPort }}
- --log-level={{ $values.logLevel }}
- --health-probe-port={{ include "corten.healthPort" . }}
{{- with $root.Values.loadBalancerClass }}
- --lb-class={{ . }}
{{- end }}
{{- with $root.Values.tls.minVersion }}
- --tls-min-version={{ . }}
{{- end }}
{{- with $root.Values.tls.cipherSuites }}
- --tls-cipher-suites={{ . }}
{{- end }}
{{- with $root.Values.tls.curvePreferences }}
- --tls-curve-preferences={{ . }}
{{- end }}
{{- if include "corten.metricsSecret" . }}
- --metrics-cert-dir=/etc/metrics-cert
{{- end }}
{{- end -}}

{{- /* The Secret of a component's metrics, if there is one. */ -}}
{{- define "corten.metricsSecret" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.prometheus.metricsPort -}}
{{- index $root.Values.tls (printf "%sMetricsTLSSecret" (index . 1)) -}}
{{- end -}}
{{- end -}}

{{- define "corten.healthPort" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
{{- $live := $values.livenessProbe -}}
{{- $ready := $values.readinessProbe -}}
{{- if and $live.enabled $ready.enabled (ne (int $live.port) (int $ready.port)) -}}
{{- fail (printf "%s.livenessProbe.port is %v and %s.readinessProbe.port is %v; both are served on one port" (index . 1) $live.port (index . 1) $ready.port) -}}
{{- end -}}
{{- if $live.enabled }}{{ int $live.port }}{{ else if $ready.enabled }}{{ int $ready.port }}{{ else }}17472{{ end -}}
{{- end -}}

{{- /* Probes; a third element is the host, if it isn't the pod's address. */ -}}
{{- define "corten.probes" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
{{- $host := "" -}}
{{- if gt (len .) 2 }}{{ $host = index . 2 }}{{ end -}}
{{- range $kind, $path := dict "livenessProbe" "/healthz" "readinessProbe" "/readyz" }}
{{- $probe := index $values $kind }}
{{- if $probe.enabled }}
{{ $kind }}:
  httpGet:
    {{- with $host }}
    host: {{ . }}
    {{- end }}
    path: {{ $path }}
    port: {{ int $probe.port }}
  initialDelaySeconds: {{ $probe.initialDelaySeconds }}
  periodSeconds: {{ $probe.periodSeconds }}
  timeoutSeconds: {{ $probe.timeoutSeconds }}
  successThreshold: {{ $probe.successThreshold }}
  failureThreshold: {{ $probe.failureThreshold }}
{{- end }}
{{- end }}
{{- end -}}
