//! Manifests as text.

/// A pool of these addresses.
pub(crate) fn pool(name: &str, addresses: &[&str]) -> String {
    let addresses = addresses.join(", ");
    format!(
        "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  name: {name}\n  \
         labels: {{pool: {name}}}\nspec:\n  addresses: [{addresses}]\n"
    )
}

/// An L2Advertisement with this spec.
pub(crate) fn l2(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {{name: {name}}}\n\
         spec: {{{spec}}}\n"
    )
}

/// A Node with these labels.
pub(crate) fn node(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata:\n  name: {name}\n  labels: {{{labels}}}\n")
}

/// A LoadBalancer Service with these annotations and more of a spec, and an endpoint that serves.
pub(crate) fn service(name: &str, annotations: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  annotations: \
         {{{annotations}}}\nspec:\n  type: LoadBalancer\n  {spec}\n---\n{}",
        slice(name, &["n1", "n2", "n3"])
    )
}

/// A port of a Service's spec.
pub(crate) fn port(port: u16) -> String {
    format!("ports: [{{port: {port}}}]")
}

/// The EndpointSlice of a Service, an endpoint on each of the nodes.
pub(crate) fn slice(service: &str, nodes: &[&str]) -> String {
    let endpoint = |node: &&str| {
        format!("  - {{addresses: [10.9.9.9], nodeName: {node}, conditions: {{ready: true}}}}\n")
    };
    let endpoints: String = nodes.iter().map(endpoint).collect();
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {service}-1\n  \
         labels: {{kubernetes.io/service-name: {service}}}\naddressType: IPv4\n\
         endpoints:\n{endpoints}"
    )
}
