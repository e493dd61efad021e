use super::*;
use corten_engine::advertise::bgp::BgpTable;

fn told(ports: &mut Ports) -> bool {
    let told = ports.table.has_changed().unwrap();
    ports.table.mark_unchanged();
    told
}

#[test]
fn the_first_table_waits_for_the_first_full_decision() {
    let (mut bgp, mut ports, _stay) = Bgp::on(Beside::Nobody);
    bgp.begin();
    assert!(!told(&mut ports), "nothing was decided");
    bgp.tell(BgpTable::default());
    bgp.tell(BgpTable::default());
    assert!(!told(&mut ports));
    bgp.begin();
    assert!(told(&mut ports));
    assert!(ports.table.borrow().is_some());
    bgp.tell(BgpTable::default());
    assert!(told(&mut ports), "what follows goes at once");
    bgp.begin();
    assert!(!told(&mut ports));
}
