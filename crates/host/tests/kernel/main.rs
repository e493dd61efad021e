//! Tests against the real kernel, each in network namespaces of its own.
//!
//! They need `CAP_SYS_ADMIN` and `CAP_NET_ADMIN` (root, or a user namespace) `ip` of iproute2 and `nft`;
//! without them they fail and say so.

#[cfg(test)]
mod assigned;
#[cfg(test)]
mod echoes;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod links;
#[cfg(test)]
mod netns;
#[cfg(test)]
mod packets;
#[cfg(test)]
mod router;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod udp;
