//! "PREFER DUALSTACK" and "Pool Status": addresses of both families.

use super::assignment::Assigning;
use crate::objects::NAMESPACE;
use crate::setup::DEADLINE;
use anyhow::{Context, Result};
use corten_lab::kubernetes::Kind;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::json;

pub(crate) const TRIALS: &[Trial] = &[(
    "both_families_are_given_if_there_are_both",
    both_families_are_given_if_there_are_both,
)];

const PREFER: &str = ", ipFamilyPolicy: PreferDualStack";

/// Waits until a pool's counters are these: in use and available, IPv4 and then IPv6.
fn counts(site: &Assigning, pool: &str, wanted: [i64; 4]) -> Result<()> {
    let [used4, free4, used6, free6] = wanted;
    let wanted = json!({"assignedIPv4": used4, "availableIPv4": free4,
        "assignedIPv6": used6, "availableIPv6": free6});
    let mut last = json!(null);
    let found = wait_until(&format!("{pool}: {wanted}"), DEADLINE, || {
        let found = site.client().get(Kind::IPAddressPool, NAMESPACE, pool)?;
        last = found.context("no pool")?["status"].take();
        Ok((last == wanted).then_some(()))
    });
    found.with_context(|| last.to_string())
}

fn both_families_are_given_if_there_are_both() -> Result<()> {
    let mut site = Assigning::start()?;
    // Without a pool of both: the Service's first family, which is IPv4 unless it says otherwise.
    site.pool("four", "addresses: [192.0.2.0/28]")?;
    site.pool("six", "addresses: [\"2001:db8::/124\"]")?;
    site.service("default/a", "", PREFER)?;
    site.has("default/a", &["192.0.2.0"], "four")?;
    let first = format!("{PREFER}, ipFamilies: [IPv6, IPv4]");
    site.service("default/b", "", &first)?;
    site.has("default/b", &["2001:db8::"], "six")?;

    // A pool of both is better than either, and nobody jumps there.
    site.pool("dual", "addresses: [198.51.100.0/31, \"2001:db8:1::/127\"]")?;
    site.service("default/c", "", PREFER)?;
    site.has("default/c", &["198.51.100.0", "2001:db8:1::"], "dual")?;
    site.has("default/a", &["192.0.2.0"], "four")?;
    site.has("default/b", &["2001:db8::"], "six")?;
    counts(&site, "dual", [1, 1, 1, 1])?;

    // From wishing for both to needing both, and back; another Service shows that it was seen.
    for (policy, other, pool) in [
        ("RequireDualStack", "198.51.100.1", "dual"),
        ("PreferDualStack", "192.0.2.1", "four"),
    ] {
        site.patch("default/c", json!({"spec": {"ipFamilyPolicy": policy}}))?;
        let name = format!("default/{}", policy.to_lowercase());
        site.service(&name, "", "")?;
        site.has(&name, &[other], pool)?;
        site.has("default/c", &["198.51.100.0", "2001:db8:1::"], "dual")?;
    }

    // A pool that grows by the other family gives it to those that wish for it.
    site.pool("four", "addresses: [192.0.2.0/28, \"2001:db8:2::/126\"]")?;
    site.has("default/a", &["192.0.2.0", "2001:db8:2::"], "four")?;
    counts(&site, "four", [2, 14, 1, 3])?;

    // A pool that loses a family loses those that want both, to another pool of both.
    site.pool("dual", "addresses: [198.51.100.0/31]")?;
    site.has("default/c", &["192.0.2.2", "2001:db8:2::1"], "four")?;
    counts(&site, "four", [3, 13, 2, 2])?;
    counts(&site, "dual", [1, 1, 0, 0])?;
    site.delete("default/c")?;
    counts(&site, "four", [2, 14, 1, 3])?;
    let edited = json!({"status": {"availableIPv6": 77}});
    site.client()
        .patch_status(Kind::IPAddressPool, NAMESPACE, "four", edited)?;
    counts(&site, "four", [2, 14, 1, 3])
}
