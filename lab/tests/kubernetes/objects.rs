//! Objects the tests put into the API server.

pub(crate) use corten_lab::kubernetes::components::NAMESPACE;

/// A metallb.io object; `spec` is the inside of a flow mapping.
pub(crate) fn custom(kind: &str, name: &str, spec: &str) -> String {
    let version = if kind == "BGPPeer" {
        "v1beta2"
    } else {
        "v1beta1"
    };
    format!(
        "apiVersion: metallb.io/{version}\nkind: {kind}\n\
         metadata: {{name: {name}, namespace: {NAMESPACE}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// A Service of namespace `default`; `more` is what else is in its spec, as the inside of a flow
/// mapping.
pub(crate) fn service(name: &str, annotations: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\n\
         metadata: {{name: {name}, namespace: default, annotations: {{{annotations}}}}}\n\
         spec: {{type: LoadBalancer, ports: [{{port: 80}}], selector: {{app: {name}}}{more}}}\n---\n"
    )
}

/// The EndpointSlice of a Service of namespace `default`, with a ready endpoint on each node.
pub(crate) fn endpoints(service: &str, nodes: &[&str]) -> String {
    let mut text = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {service}-1, namespace: default, \
         labels: {{kubernetes.io/service-name: {service}}}}}\n\
         addressType: IPv4\nports: [{{name: \"\", port: 80}}]\nendpoints:\n"
    );
    for (node, i) in nodes.iter().zip(1..) {
        text.push_str(&format!(
            "  - {{addresses: [\"10.244.0.{i}\"], conditions: {{ready: true}}, nodeName: {node}}}\n"
        ));
    }
    text + "---\n"
}

/// A Node.
pub(crate) fn node(name: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n---\n")
}

/// A Deployment of Corten's namespace that nothing runs.
pub(crate) fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\n\
         metadata: {{name: {name}, namespace: {NAMESPACE}}}\n\
         spec: {{selector: {{matchLabels: {{app: metallb}}}}, \
         template: {{metadata: {{labels: {{app: metallb}}}}, \
         spec: {{containers: [{{name: main, image: corten}}]}}}}}}\n---\n"
    )
}

/// A Secret of Corten's namespace with a BGP password.
pub(crate) fn password(name: &str, text: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/basic-auth\n\
         metadata: {{name: {name}, namespace: {NAMESPACE}}}\n\
         stringData: {{password: {text:?}}}\n---\n"
    )
}

/// A Pod of Corten's namespace that nothing runs.
pub(crate) fn pod(name: &str, account: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {NAMESPACE}, \
         labels: {{app: metallb, component: {account}}}}}\n\
         spec: {{serviceAccountName: {account}, automountServiceAccountToken: false, \
         containers: [{{name: main, image: corten}}]}}\n---\n"
    )
}
