use super::*;
use crate::directory::tree::parse;
use corten_api::core::{Node as KubeNode, Service};
use corten_api::l2::L2Advertisement;
use corten_api::pool::IPAddressPool;

fn check<T: for<'a> Deserialize<'a> + fmt::Debug>(text: &str, field: &str, line: u64, cause: &str) {
    let node = parse(text).unwrap();
    let error = decode::<T>(&node).0.unwrap_err();
    assert_eq!(error.field, field, "{error:?}");
    assert_eq!(error.line, line, "{error:?}");
    assert!(error.cause.contains(cause), "{error:?}");
}

#[test]
fn errors_name_field_and_line() {
    check::<IPAddressPool>(
        "metadata: {name: a}\nspec:\n  addresses:\n  - 10.0.0.0/8\n  - 5\n",
        "spec.addresses[1]",
        5,
        "expected a string",
    );
    check::<IPAddressPool>(
        "metadata: {name: a}\nspec:\n  autoAssign: true\n",
        "spec.addresses",
        3,
        "missing",
    );
    check::<IPAddressPool>("metadata: {name: a}\n", "spec", 1, "missing");
    check::<IPAddressPool>(
        "metadata: {name: a}\nspec:\n  addresses: []\n  autoAssign: maybe\n",
        "spec.autoAssign",
        4,
        "boolean",
    );
    check::<Service>(
        "metadata:\n  labels:\n    a: true\n",
        "metadata.labels.a",
        3,
        "string",
    );
    check::<Service>(
        "spec:\n  ports:\n  - port: 80\n  - port: http\n",
        "spec.ports[1].port",
        4,
        "invalid type",
    );
    check::<Service>("spec: 5\n", "spec", 1, "invalid type");
    check::<L2Advertisement>(
        "metadata: {name: a}\nspec:\n  preferredNodeSelectors:\n  - weight: 9999999999\n    preference: {}\n",
        "spec.preferredNodeSelectors[0].weight",
        4,
        "i32",
    );
}

#[test]
fn null_is_absent_and_empty_in_a_map() {
    let node = parse(
        "metadata:\n  name: a\n  labels:\n  annotations:\n    metallb.io/allow-shared-ip:\nspec:\n  ports: null\n  selector: ~\nstatus:\n",
    )
    .unwrap();
    let (service, unknown) = decode::<Service>(&node);
    let service = service.unwrap();
    assert_eq!(
        service.metadata.annotations["metallb.io/allow-shared-ip"],
        ""
    );
    assert!(service.spec.ports.is_empty());
    assert!(unknown.is_empty());
}

#[test]
fn fields_the_type_lacks_are_listed_with_what_was_meant() {
    let node = parse(
        "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  name: a\n  finalizers: [x]\nspec:\n  addresses: []\n  autoassign: true\n  serviceAllocation:\n    serviceSelectors:\n    - matchLabel: {a: b}\n",
    )
    .unwrap();
    let (pool, unknown) = decode::<IPAddressPool>(&node);
    assert!(pool.is_ok());
    let got: Vec<_> = unknown
        .iter()
        .map(|u| (u.field.as_str(), u.line, u.meant))
        .collect();
    assert_eq!(
        got,
        [
            ("spec.autoassign", 8, Some("autoAssign")),
            (
                "spec.serviceAllocation.serviceSelectors[0].matchLabel",
                11,
                None
            ),
        ]
    );
}

#[test]
fn a_node_reads_with_its_status() {
    let node = parse(
        "metadata: {name: n1}\nstatus:\n  addresses:\n  - {type: InternalIP, address: 10.0.0.1}\n",
    )
    .unwrap();
    let object = decode::<KubeNode>(&node).0.unwrap();
    assert_eq!(object.status.addresses[0].address, "10.0.0.1");
}
