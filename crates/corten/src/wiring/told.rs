//! What was logged about the source: each rejection and warning once, and its end.

use std::collections::BTreeSet;

/// What is logged as standing now.
#[derive(Debug, Default)]
pub(super) struct Told {
    rejections: BTreeSet<String>,
    warnings: BTreeSet<String>,
}

impl Told {
    /// Logs what is new and what is over.
    pub(super) fn update(&mut self, rejections: Vec<String>, warnings: Vec<String>) {
        let rejections: BTreeSet<_> = rejections.into_iter().collect();
        for rejection in rejections.difference(&self.rejections) {
            tracing::error!("rejected, its last good version stays: {rejection}");
        }
        for rejection in self.rejections.difference(&rejections) {
            tracing::info!("no longer rejected: {rejection}");
        }
        let warnings: BTreeSet<_> = warnings.into_iter().collect();
        for warning in warnings.difference(&self.warnings) {
            tracing::warn!("{warning}");
        }
        (self.rejections, self.warnings) = (rejections, warnings);
    }
}
