//! BGP from the facts side: where its table goes, and where its sessions are asked after.

use crate::report::BgpPeer;
use crate::speaker::bgp::{Ports, convert};
use corten_engine::advertise::bgp::BgpTable;
use corten_engine::speaker::BgpDriver;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// BGP from the facts side.
pub(super) enum Bgp {
    /// Nobody speaks it.
    Off,
    /// The driver does.
    On {
        table: watch::Sender<Option<Arc<convert::Table>>>,
        queries: mpsc::Sender<oneshot::Sender<Vec<BgpPeer>>>,
    },
}

impl Bgp {
    /// Both ends of a driver, and what ends it when dropped.
    pub(super) fn on() -> (Self, Ports, oneshot::Sender<()>) {
        let (table, table_rx) = watch::channel(None);
        let (queries, queries_rx) = mpsc::channel(8);
        let (stay, stop) = oneshot::channel();
        let ports = Ports {
            table: table_rx,
            queries: queries_rx,
            stop,
        };
        (Self::On { table, queries }, ports, stay)
    }

    /// What the speaker is to know of it.
    pub(super) fn driver(&self) -> BgpDriver {
        match self {
            Self::Off => BgpDriver::Absent,
            Self::On { .. } => BgpDriver::Present,
        }
    }

    /// Hands a table over.
    pub(super) fn tell(&self, new: &BgpTable) {
        if let Self::On { table, .. } = self {
            table.send_replace(Some(Arc::new(convert::table(new))));
        }
    }

    /// The peers; none if nobody speaks or the wire thread doesn't answer.
    pub(super) async fn report(&self) -> Vec<BgpPeer> {
        let Self::On { queries, .. } = self else {
            return Vec::new();
        };
        let (reply, answer) = oneshot::channel();
        let ask = async {
            queries.send(reply).await.ok()?;
            answer.await.ok()
        };
        let answer = tokio::time::timeout(Duration::from_secs(2), ask).await;
        answer.ok().flatten().unwrap_or_default()
    }
}
