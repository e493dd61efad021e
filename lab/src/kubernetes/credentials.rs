//! Keys, certificates and tokens of one API server.

use super::PORT;
use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, SanType};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Token of the administrator.
pub(super) const ADMINISTRATOR_TOKEN: &str = "administrator";

/// File of the audit log.
pub(super) const AUDIT_LOG: &str = "audit.log";

/// Who asked for what and how it was answered, of ServiceAccounts only.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\n\
    omitStages: [RequestReceived]\nrules:\n\
    - {level: Metadata, userGroups: [\"system:serviceaccounts\"]}\n\
    - {level: None}\n";

/// What the API server shows and asks for.
#[derive(Debug)]
pub(super) struct Credentials {
    dir: PathBuf,
    address: IpAddr,
    authority: String,
}

impl Credentials {
    /// Makes everything in `dir`, for a server that listens on `address`; `services` are the
    /// cluster addresses it is reached at.
    pub(super) fn create(dir: &Path, address: IpAddr, services: &[IpAddr]) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        let names = [address].into_iter().chain(services.iter().copied());
        params
            .subject_alt_names
            .extend(names.map(SanType::IpAddress));
        let authority = params.self_signed(&key)?.pem();
        fs::write(dir.join("server.crt"), &authority)?;
        fs::write(dir.join("server.key"), key.serialize_pem())?;
        let accounts = KeyPair::generate()?;
        fs::write(dir.join("accounts.key"), accounts.serialize_pem())?;
        fs::write(dir.join("accounts.pub"), accounts.public_key_pem())?;
        let tokens = format!("{ADMINISTRATOR_TOKEN},admin,admin,\"system:masters\"\n");
        fs::write(dir.join("tokens"), tokens)?;
        fs::write(dir.join("audit.yaml"), AUDIT_POLICY)?;
        Ok(Self {
            dir: dir.to_owned(),
            address,
            authority,
        })
    }

    /// Arguments of kube-apiserver.
    pub(super) fn server_arguments(&self, service_ranges: &str) -> Vec<String> {
        let file = |name: &str| self.file(name);
        let mut all = vec![
            "--etcd-servers=http://127.0.0.1:2379".to_owned(),
            format!("--bind-address={}", self.address),
            format!("--secure-port={PORT}"),
            format!("--advertise-address={}", self.address),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--service-account-key-file={}", file("accounts.pub")),
            format!(
                "--service-account-signing-key-file={}",
                file("accounts.key")
            ),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--token-auth-file={}", file("tokens")),
            "--authorization-mode=RBAC".to_owned(),
            format!("--audit-policy-file={}", file("audit.yaml")),
            format!("--audit-log-path={}", file(AUDIT_LOG)),
            format!("--service-cluster-ip-range={service_ranges}"),
        ];
        if self.address.is_loopback() {
            // Loopback is no address an Endpoints object may have; nobody looks for it here.
            all.push("--endpoint-reconciler-type=none".to_owned());
        } else {
            // Webhooks are called at their pods' addresses, kubelets at their nodes'.
            all.push("--enable-aggregator-routing".to_owned());
            all.push("--kubelet-preferred-address-types=InternalIP".to_owned());
        }
        all
    }

    /// A file of what was made.
    pub(super) fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// The administrator's way in.
    pub(super) fn administrator(&self) -> String {
        self.kubeconfig(ADMINISTRATOR_TOKEN)
    }

    /// A kubeconfig with this token.
    pub(super) fn kubeconfig(&self, token: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: lab\n\
             contexts: [{{name: lab, context: {{cluster: lab, user: lab}}}}]\n\
             clusters: [{{name: lab, cluster: {{server: \"https://{}:{PORT}\", \
             certificate-authority-data: {}}}}}]\n\
             users: [{{name: lab, user: {{token: \"{token}\"}}}}]\n",
            self.address,
            STANDARD.encode(&self.authority)
        )
    }
}
