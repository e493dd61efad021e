use super::*;
use proptest::prelude::*;

const POOL: &str = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  name: a\nspec:\n  addresses: [10.0.0.0/24]\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  type: LoadBalancer\n  ports:\n  - port: 80\n    targetPort: http\n";

fn objects(result: &ReadResult) -> Vec<String> {
    let shown = |p: &Placed| format!("{} at {}", p.object_ref, p.place);
    result.objects.iter().map(shown).collect()
}

fn rejections(result: &ReadResult) -> Vec<String> {
    result.rejections.iter().map(ToString::to_string).collect()
}

fn check_rejected(text: &str, want: &str) {
    let result = read_text("f.yaml", text.as_bytes());
    let got = rejections(&result);
    assert!(
        got.len() == 1 && got[0].starts_with(want),
        "{text}\n got {got:?}\nwant {want:?}"
    );
}

#[test]
fn every_kind_is_read() {
    let text = format!(
        "{POOL}---\n{SERVICE}---
{{apiVersion: v1, kind: Node, metadata: {{name: n1}}, status: {{addresses: [{{type: InternalIP, address: 10.0.0.1}}]}}}}
---
{{apiVersion: v1, kind: Namespace, metadata: {{name: shop}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: web-1}}, addressType: IPv4}}
---
{{apiVersion: metallb.io/v1beta1, kind: L2Advertisement, metadata: {{name: l2}}, spec: {{}}}}
---
{{apiVersion: metallb.io/v1beta1, kind: BGPAdvertisement, metadata: {{name: ba}}, spec: {{}}}}
---
{{apiVersion: metallb.io/v1beta2, kind: BGPPeer, metadata: {{name: p}}, spec: {{myASN: 1}}}}
---
{{apiVersion: metallb.io/v1beta1, kind: BFDProfile, metadata: {{name: b}}, spec: {{}}}}
---
{{apiVersion: metallb.io/v1beta1, kind: Community, metadata: {{name: c, namespace: x}}, spec: {{}}}}
---
{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, type: Opaque, immutable: true, data: {{k: v}}}}
"
    );
    let result = read_text("f.yaml", text.as_bytes());
    assert_eq!(
        objects(&result),
        [
            "IPAddressPool default/a at f.yaml:1",
            "Service shop/web at f.yaml:8",
            "Node n1 at f.yaml:19",
            "Namespace shop at f.yaml:21",
            "EndpointSlice default/web-1 at f.yaml:23",
            "L2Advertisement default/l2 at f.yaml:25",
            "BGPAdvertisement default/ba at f.yaml:27",
            "BGPPeer default/p at f.yaml:29",
            "BFDProfile default/b at f.yaml:31",
            "Community x/c at f.yaml:33",
            "Secret default/s at f.yaml:35",
        ]
    );
    assert_eq!((rejections(&result), result.warnings), (vec![], vec![]));
}

#[test]
fn peers_of_the_old_version_are_converted() {
    let text = "apiVersion: metallb.io/v1beta1\nkind: BGPPeer\nmetadata: {name: p}\nspec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1}\n";
    let result = read_text("f.yaml", text.as_bytes());
    let [
        Placed {
            object: Object::BGPPeer(peer),
            ..
        },
    ] = result.objects.as_slice()
    else {
        panic!("{result:?}");
    };
    assert_eq!(peer.spec.peer_address.as_deref(), Some("10.0.0.1"));
    assert_eq!(peer.metadata.namespace.as_deref(), Some("default"));
    check_rejected(
        &text.replace(
            "name: p",
            "name: p, annotations: {corten.io/bgppeer-v1beta2: x}",
        ),
        "f.yaml:1: BGPPeer default/p: metadata.annotations: ",
    );
}

#[test]
fn a_broken_document_leaves_its_neighbours() {
    let text = format!(
        "{POOL}---\napiVersion: v1\nkind: Service\nmetadata:\n  name: bad\nspec: {{ports: [\n---\n{SERVICE}"
    );
    let result = read_text("f.yaml", text.as_bytes());
    assert_eq!(
        objects(&result),
        [
            "IPAddressPool default/a at f.yaml:1",
            "Service shop/web at f.yaml:14"
        ]
    );
    let [rejection] = result.rejections.as_slice() else {
        panic!("{:?}", result.rejections);
    };
    let bad = ObjectRef::new(Kind::Service, "default", "bad");
    assert_eq!(rejection.subject, Subject::Object(bad));
    assert!(rejection.place.starts_with("f.yaml:1"), "{rejection}");
}

#[test]
fn rejections_name_place_object_and_field() {
    check_rejected(
        &POOL.replace("[10.0.0.0/24]", "[5]"),
        "f.yaml:6: IPAddressPool default/a: spec.addresses[0]: invalid type",
    );
    check_rejected("just text\n", "f.yaml:1: not an object");
    check_rejected("a: 1\n", "f.yaml:1: apiVersion and kind are required");
    check_rejected(
        &POOL.replace("v1beta1", "v1alpha1"),
        "f.yaml:1: IPAddressPool default/a: apiVersion: IPAddressPool is not known in version metallb.io/v1alpha1",
    );
    check_rejected(
        &POOL.replace("name: a", "name: A_b"),
        "f.yaml:1: metadata.name: IPAddressPool without a usable name",
    );
    check_rejected(
        "apiVersion: v1\nkind: List\nitems: 5\n",
        "f.yaml:3: items: not a sequence",
    );
    check_rejected("\n\n%a: b: c\n", "f.yaml:");
    check_rejected(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  password: '?'\n",
        "f.yaml:5: Secret default/s: data.password: is not base64",
    );
    // Cut off inside the name: it may have been longer.
    check_rejected(
        "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  name: lon",
        "f.yaml:1: spec: required field is missing",
    );
    check_rejected(
        "apiVersion: v1\nkind: Service\nmetadata:\n  labels: [\n  name: lon",
        "f.yaml:",
    );
}

#[test]
fn text_that_is_no_utf8_is_rejected_by_line() {
    let result = read_text("f.yaml", b"a: 1\nb: \xff\n");
    assert_eq!(rejections(&result), ["f.yaml:2: not UTF-8 text"]);
    let marked = [b"\xef\xbb\xbf", POOL.as_bytes()].concat();
    assert_eq!(read_text("f.yaml", &marked).objects.len(), 1);
}

#[test]
fn lists_are_unwrapped() {
    let item = |name: &str| format!("{{kind: Node, apiVersion: v1, metadata: {{name: {name}}}}}");
    let text = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}\n- {}\n- 5\n",
        item("a"),
        item("b")
    );
    let result = read_text("f.yaml", text.as_bytes());
    assert_eq!(
        objects(&result),
        ["Node a at f.yaml:4", "Node b at f.yaml:5"]
    );
    assert_eq!(rejections(&result), ["f.yaml:6: not an object"]);
    let typed = "apiVersion: v1\nkind: NodeList\nitems:\n- metadata: {name: c}\n";
    let result = read_text("f.yaml", typed.as_bytes());
    assert_eq!(objects(&result), ["Node c at f.yaml:4"]);
}

#[test]
fn kinds_and_fields_not_known_are_warnings() {
    let text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d}}\n---\n{}---\n{}---\nkind: Pod\na: [\n",
        POOL.replace("addresses", "autoAsign: true\n  addresses"),
        SERVICE.replace("type:", "loadBalancerIp: 1.2.3.4\n  type:")
    );
    let result = read_text("f.yaml", text.as_bytes());
    assert_eq!(result.objects.len(), 2);
    let got: Vec<_> = result.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        got[..3],
        [
            "f.yaml:1: apps/v1 Deployment d: this kind is not read here",
            "f.yaml:10: IPAddressPool default/a: spec.autoAsign: unknown field, ignored",
            "f.yaml:19: Service shop/web: spec.loadBalancerIp: unknown field; is loadBalancerIP meant?",
        ]
    );
    assert!(
        got[3].contains("Pod is not read here; broken, too"),
        "{got:?}"
    );
    assert_eq!(rejections(&result), Vec::<String>::new());
}

#[test]
fn the_first_of_two_is_used_and_both_places_are_named() {
    let other = POOL.replace("  name: a", "  name: a\n  namespace: elsewhere");
    let result = read_text("f.yaml", format!("{POOL}---\n{other}").as_bytes());
    assert_eq!(objects(&result), ["IPAddressPool default/a at f.yaml:1"]);
    assert_eq!(
        rejections(&result),
        [
            "f.yaml:8: IPAddressPool elsewhere/a: metadata.name: already defined at f.yaml:1, which is used"
        ]
    );
}

#[test]
fn status_is_not_read() {
    let text = format!("{SERVICE}status: {{loadBalancer: [what]}}\n");
    let result = read_text("f.yaml", text.as_bytes());
    assert_eq!(rejections(&result), Vec::<String>::new());
    let Object::Service(service) = &result.objects[0].object else {
        panic!("no Service");
    };
    assert!(service.status.load_balancer.ingress.is_empty());
}

#[test]
fn paths_may_be_files_and_directories() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("b.yaml"), SERVICE).unwrap();
    std::fs::write(path("a.yml"), POOL).unwrap();
    std::fs::write(
        path("c.json"),
        "{\"apiVersion\": \"v1\",\n\t\"kind\": \"Node\", \"metadata\": {\"name\": \"n\"}}",
    )
    .unwrap();
    for ignored in [
        ".hidden.yaml",
        "corten.allocations.yaml",
        "note.txt",
        "x.yaml~",
    ] {
        std::fs::write(path(ignored), "{").unwrap();
    }
    std::fs::create_dir(path("sub.yaml")).unwrap();
    std::os::unix::fs::symlink("nowhere", path("dangling.yaml")).unwrap();
    let large = std::fs::File::create(path("large.yaml")).unwrap();
    large.set_len(MAX_FILE + 1).unwrap();

    let result = read_paths(&[dir.path().to_owned(), path("absent.yaml")]);
    let at = |name: &str| path(name).display().to_string();
    assert_eq!(
        objects(&result),
        [
            format!("IPAddressPool default/a at {}:1", at("a.yml")),
            format!("Service shop/web at {}:1", at("b.yaml")),
            format!("Node n at {}:1", at("c.json")),
        ]
    );
    let rejected = rejections(&result);
    let want = [
        ("dangling.yaml", "No such file"),
        ("large.yaml", "larger than 16 MiB"),
        ("sub.yaml", "not a regular file"),
        ("absent.yaml", "No such file"),
    ];
    for (rejection, (name, cause)) in rejected.iter().zip(want) {
        assert!(rejection.starts_with(&at(name)), "{rejection}");
        assert!(rejection.contains(cause), "{rejection}");
    }
    assert_eq!(rejected.len(), want.len());
}

proptest! {
    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_text("f.yaml", &bytes);
    }

    #[test]
    fn mutations_never_panic(at in 0usize..400, byte: u8, cut in 0usize..400) {
        let mut text = format!("{POOL}---\n{SERVICE}").into_bytes();
        let at = at % text.len();
        text[at] = byte;
        text.truncate(cut);
        let _ = read_text("f.yaml", &text);
    }
}
