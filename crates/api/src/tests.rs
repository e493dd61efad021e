//! Manifests as people write them: read into the types and written again, nothing is lost and
//! nothing is added.

use crate::bgp::v1beta1;
use crate::{bfd, bgp, l2, pool, status};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn round_trip<T: DeserializeOwned + Serialize>(manifest: &str) {
    let written: Value = serde_saphyr::from_str(manifest).unwrap();
    let typed: T = serde_saphyr::from_str(manifest).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), written);
}

#[test]
fn ip_address_pool() {
    round_trip::<pool::IPAddressPool>(
        "
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata:
  name: front
  namespace: metallb-system
  labels: {zone: east}
spec:
  addresses: [192.0.2.0/28, 198.51.100.10-198.51.100.20, '2001:db8:1::/124']
  autoAssign: false
  avoidBuggyIPs: true
  serviceAllocation:
    priority: 50
    namespaces: [shop, mail]
    namespaceSelectors:
    - matchLabels: {team: web}
    serviceSelectors:
    - matchExpressions:
      - {key: app, operator: In, values: [nginx, haproxy]}
      - {key: internal, operator: DoesNotExist}
status:
  assignedIPv4: 3
  assignedIPv6: 0
  availableIPv4: 24
  availableIPv6: 16
",
    );
}

#[test]
fn l2_advertisement() {
    round_trip::<l2::L2Advertisement>(
        "
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata:
  name: front
  namespace: metallb-system
  annotations: {corten.io/address-conflict: withhold}
spec:
  ipAddressPools: [front]
  ipAddressPoolSelectors: [{matchLabels: {zone: east}}]
  nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}]
  interfaces: [eth1, bond0]
  serviceSelectors: [{matchLabels: {public: 'yes'}}]
  preferredNodeSelectors:
  - weight: 80
    preference: {matchLabels: {rack: r1}}
",
    );
}

#[test]
fn bgp_advertisement() {
    round_trip::<bgp::BGPAdvertisement>(
        "
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: edge, namespace: metallb-system}
spec:
  aggregationLength: 24
  aggregationLengthV6: 64
  localPref: 4294967295
  communities: ['64512:100', 'large:64512:1:2', no-export]
  ipAddressPools: [front]
  ipAddressPoolSelectors: [{matchLabels: {zone: east}}]
  nodeSelectors: [{matchLabels: {rack: r1}}]
  peers: [tor-a, tor-b]
  serviceSelectors: [{}]
",
    );
}

#[test]
fn bgp_peer() {
    round_trip::<bgp::BGPPeer>(
        "
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: tor-a, namespace: metallb-system}
spec:
  myASN: 4200000000
  peerASN: 64513
  localASN: 64600
  peerAddress: 192.0.2.254
  sourceAddress: 192.0.2.1
  peerPort: 1179
  holdTime: 30s
  keepaliveTime: 10s
  connectTime: 5s
  routerID: 192.0.2.1
  nodeSelectors: [{matchExpressions: [{key: rack, operator: Exists}]}]
  passwordSecret: {name: tor-a, namespace: metallb-system}
  bfdProfile: fast
  enableGracefulRestart: true
  ebgpMultiHop: false
  vrf: red
  disableMP: false
  dualStackAddressFamily: true
",
    );
    round_trip::<bgp::BGPPeer>(
        "
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: unnumbered}
spec: {myASN: 64512, dynamicASN: external, interface: eth0, password: secret}
",
    );
}

#[test]
fn deprecated_bgp_peer() {
    round_trip::<v1beta1::BGPPeer>(
        "
apiVersion: metallb.io/v1beta1
kind: BGPPeer
metadata: {name: tor-a, namespace: metallb-system}
spec:
  myASN: 64512
  peerASN: 64513
  peerAddress: 192.0.2.254
  sourceAddress: 192.0.2.1
  peerPort: 0
  holdTime: 0s
  keepaliveTime: 0s
  routerID: 192.0.2.1
  nodeSelectors:
  - matchLabels: {rack: r1}
    matchExpressions: [{key: zone, operator: In, values: [east]}]
  password: secret
  bfdProfile: fast
  ebgpMultiHop: true
",
    );
}

#[test]
fn bfd_profile_and_community() {
    round_trip::<bfd::BFDProfile>(
        "
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: fast, namespace: metallb-system}
spec:
  receiveInterval: 100
  transmitInterval: 150
  detectMultiplier: 3
  echoInterval: 50
  echoMode: false
  passiveMode: true
  minimumTtl: 254
",
    );
    round_trip::<bgp::Community>(
        "
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {name: names, namespace: metallb-system}
spec:
  communities:
  - {name: no-export, value: '65535:65281'}
  - {name: backup, value: 'large:64512:1:2'}
",
    );
}

#[test]
fn status_kinds() {
    round_trip::<status::ServiceL2Status>(
        "
apiVersion: metallb.io/v1beta1
kind: ServiceL2Status
metadata:
  name: l2-x7k2p
  namespace: metallb-system
  labels: {metallb.io/node: n1, metallb.io/service-name: web, metallb.io/service-namespace: shop}
spec: {}
status: {node: n1, serviceName: web, serviceNamespace: shop, interfaces: [{name: eth1}]}
",
    );
    round_trip::<status::ServiceBGPStatus>(
        "
apiVersion: metallb.io/v1beta1
kind: ServiceBGPStatus
metadata: {name: bgp-m4c9q, namespace: metallb-system}
spec: {}
status: {node: n1, serviceName: web, serviceNamespace: shop, peers: [tor-a, tor-b]}
",
    );
    round_trip::<status::ConfigurationState>(
        "
apiVersion: metallb.io/v1beta1
kind: ConfigurationState
metadata:
  name: speaker-n1
  namespace: metallb-system
  labels: {metallb.io/component-type: speaker, metallb.io/node-name: n1}
status:
  result: Invalid
  errorSummary: 'configuration error: peer tor-a referencing non existing bfd profile fast'
  conditions:
  - type: configReconcilerValid
    status: 'False'
    reason: ConfigurationError
    message: ''
    lastTransitionTime: 2026-01-02T03:04:05Z
",
    );
}

/// The kinds whose schema demands no spec are read without one, as `announce everything` is
/// usually written; the others aren't.
#[test]
fn a_spec_is_optional_where_the_schema_says_so() {
    fn read<T: DeserializeOwned>() -> Result<T, serde_json::Error> {
        serde_json::from_value(serde_json::json!({ "metadata": { "name": "all" } }))
    }
    assert_eq!(
        read::<l2::L2Advertisement>().unwrap().spec,
        Default::default()
    );
    assert_eq!(
        read::<bgp::BGPAdvertisement>().unwrap().spec,
        Default::default()
    );
    assert_eq!(read::<bgp::Community>().unwrap().spec, Default::default());
    assert_eq!(read::<bfd::BFDProfile>().unwrap().spec, Default::default());
    read::<status::ServiceL2Status>().unwrap();
    read::<status::ServiceBGPStatus>().unwrap();
    read::<status::ConfigurationState>().unwrap();
    assert!(read::<pool::IPAddressPool>().is_err());
}
