//! What the operator does from the command line: the commands, and the owner-only socket by which
//! they reach a running server, so that nobody writes beside it.
//!
//! One connection is one command: a line of JSON there, a line of JSON back.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use meishi_contacts::{
    AccountId, Actor, ChannelType, Credential, InboxId, InboxPatch, KeyId, NewInbox, Role,
    UnixMillis, fields,
    limits::{CONTROL_BYTES, FINDINGS_PER_CHECK, ROTATION_OVERLAP_SECONDS},
};
use meishi_store::{
    Account, Change, Context, CreatedAccount, Finding, NewAccount, Outcome, examine::Severity,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

use crate::{
    ApiError, App,
    api::{apply_one, inboxes::InboxView, keys::KeyView, rfc3339},
    serve::ACCEPT_PAUSE,
};

/// A command of the operator's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Lists accounts.
    ListAccounts,
    /// Makes an account with a channel and an administrator key.
    CreateAccount {
        /// What people call it.
        name: String,
    },
    /// Lists an account's channels.
    ListInboxes {
        /// The account; the only one when absent.
        account: Option<AccountId>,
    },
    /// Makes a channel.
    CreateInbox {
        /// The account; the only one when absent.
        account: Option<AccountId>,
        /// The Channel ID, where it is chosen.
        id: Option<InboxId>,
        /// What people call it.
        name: String,
    },
    /// Renames a channel.
    RenameInbox {
        /// The account; the only one when absent.
        account: Option<AccountId>,
        /// Which channel.
        id: InboxId,
        /// What people call it.
        name: String,
    },
    /// Deletes a channel.
    DeleteInbox {
        /// The account; the only one when absent.
        account: Option<AccountId>,
        /// Which channel.
        id: InboxId,
        /// With its links.
        force: bool,
    },
    /// Lists an account's keys.
    ListKeys {
        /// The account; the only one when absent.
        account: Option<AccountId>,
    },
    /// Makes a key.
    CreateKey {
        /// The account; the only one when absent.
        account: Option<AccountId>,
        /// What people call it.
        name: String,
        /// What it may do.
        role: Role,
        /// When it ends.
        expires_at: Option<UnixMillis>,
    },
    /// Gives a key a new secret.
    RotateKey {
        /// The account; the only one when absent.
        account: Option<AccountId>,
        /// Which key.
        id: KeyId,
        /// How long the old secret stays valid.
        overlap_seconds: i64,
    },
    /// Revokes a key.
    RevokeKey {
        /// The account; the only one when absent.
        account: Option<AccountId>,
        /// Which key.
        id: KeyId,
    },
    /// Writes a backup.
    Backup {
        /// The new file, by its absolute path: the server has a working directory of its own.
        path: PathBuf,
    },
    /// Looks whether data directory and database are as they must be.
    Doctor,
}

/// Why a command was not done: one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// What a command answers: an object, or a list of flat objects.
pub type Reply = Result<Value, Refusal>;

/// Does a command.
pub async fn execute(app: &App, command: Command) -> Reply {
    match command {
        Command::ListAccounts => list_accounts(app).await,
        Command::CreateAccount { name } => {
            let name = checked_name(&name)?;
            match create_account(app, name, false).await? {
                Some(created) => Ok(created),
                None => Err(Refusal("the account was not made".into())),
            }
        }
        Command::ListInboxes { account } => {
            let account = choose(app, account).await?;
            let inboxes = app.store.inboxes(account.id).await.map_err(refuse)?;
            Ok(inboxes.into_iter().map(|inbox| json!(InboxView::from(inbox))).collect())
        }
        Command::ListKeys { account } => {
            let account = choose(app, account).await?;
            let keys = app.store.keys(account.id).await.map_err(refuse)?;
            Ok(keys.into_iter().map(|key| json!(KeyView::new(key, None))).collect())
        }
        Command::CreateInbox { account, id, name } => {
            let name = checked_name(&name)?;
            let new = NewInbox { id, name, channel_type: ChannelType::Api };
            change(app, account, |_| Change::CreateInbox(new)).await
        }
        Command::RenameInbox { account, id, name } => {
            let patch = InboxPatch { name: Some(checked_name(&name)?) };
            change(app, account, |_| Change::UpdateInbox { id, patch }).await
        }
        Command::DeleteInbox { account, id, force } => {
            change(app, account, |_| Change::DeleteInbox { id, force }).await
        }
        Command::CreateKey { account, name, role, expires_at } => {
            let name = checked_name(&name)?;
            change(app, account, |credential| {
                Change::CreateKey(credential.key(name, role, expires_at))
            })
            .await
        }
        Command::RotateKey { account, id, overlap_seconds } => {
            if !(0..=ROTATION_OVERLAP_SECONDS).contains(&overlap_seconds) {
                let most = ROTATION_OVERLAP_SECONDS;
                return Err(Refusal(format!("the overlap must be from 0 to {most} seconds")));
            }
            change(app, account, |credential| {
                let secret_hash = credential.secret_hash();
                Change::RotateKey { id, secret_hash, overlap_seconds }
            })
            .await
        }
        Command::RevokeKey { account, id } => {
            change(app, account, |_| Change::RevokeKey { id }).await
        }
        Command::Backup { path } => backup(app, &path).await,
        Command::Doctor => {
            let mut findings = app.store.examine(app.clock.now()).await.map_err(refuse)?;
            findings.extend(memory_findings(app));
            Ok(json!(findings))
        }
    }
}

/// Whether the indexes of the running server fit into their memory.
fn memory_findings(app: &App) -> Vec<Finding> {
    const CHECK: &str = "index_memory";
    let advice = "give indexes more memory with --index-memory";
    let (without_grams, refused) = app.directory.short_of_memory();
    let short = |account: &AccountId, severity, message: &str| Finding {
        account_id: Some(*account),
        ..Finding::bad(CHECK, severity, message, advice)
    };
    let slow = "there is no memory for grams, so that searches look at all contacts";
    let slow = without_grams.iter().map(|account| short(account, Severity::Warning, slow));
    let none = "its contacts do not fit into memory: lists and searches are refused";
    let none = refused.iter().map(|account| short(account, Severity::Wrong, none));
    let mut findings: Vec<Finding> = none.chain(slow).take(FINDINGS_PER_CHECK).collect();
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "the loaded indexes fit into memory"));
    }
    findings
}

/// Makes an account with a channel and an administrator key, and tells the secret. With
/// `only_first` only while there is no account, else `None`.
pub async fn create_account(
    app: &App,
    name: String,
    only_first: bool,
) -> Result<Option<Value>, Refusal> {
    let seed = app.rng.seed();
    let credential = Credential::from_seed(&seed);
    let new = NewAccount {
        name,
        inbox_name: "API".into(),
        key: credential.key("First key".into(), Role::Administrator, None),
        at: app.clock.now(),
        request_id: seed.uuid("request id", 0).to_string(),
        seed,
        only_first,
    };
    let created = app.store.create_account(new).await.map_err(refuse)?;
    Ok(created.map(|CreatedAccount { account, inbox, key }| {
        json!({
            "account_id": account.id,
            "inbox_id": inbox.id,
            "api_key": key.api_key,
            "api_secret": credential.api_secret,
        })
    }))
}

/// The socket, for its owner only.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    // The data directory is held, so a socket that is there is of a process that is gone.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers commands until the task is dropped. Only the owner of the socket, and root, are heard.
pub async fn listen(app: App, listener: UnixListener, path: &Path) -> std::io::Result<()> {
    let owner = std::fs::metadata(path)?.uid();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a command could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let allowed = stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0);
        if allowed {
            let app = app.clone();
            tokio::spawn(async move {
                if let Err(error) = answer(&app, stream).await {
                    tracing::warn!(%error, "a command was not answered");
                }
            });
        }
    }
}

/// Sends a command to the server that holds the data directory.
pub async fn send(path: &Path, command: &Command) -> std::io::Result<Reply> {
    let mut stream = BufReader::new(UnixStream::connect(path).await?);
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut reply = String::new();
    if stream.take(CONTROL_BYTES).read_line(&mut reply).await? == 0 {
        return Err(std::io::Error::other("it ended before it had an answer"));
    }
    Ok(serde_json::from_str(&reply)?)
}

async fn answer(app: &App, stream: UnixStream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader).take(CONTROL_BYTES).read_line(&mut line).await?;
    let reply: Reply = match serde_json::from_str::<Command>(&line) {
        Ok(command) => execute(app, command).await,
        Err(_) => Err(Refusal("the server does not know this command".into())),
    };
    let mut reply = serde_json::to_vec(&reply)?;
    reply.push(b'\n');
    writer.write_all(&reply).await
}

async fn list_accounts(app: &App) -> Reply {
    let mut rows = Vec::new();
    for account in app.store.accounts().await.map_err(refuse)? {
        let counts = app.store.counts(account.id).await.map_err(refuse)?;
        rows.push(json!({
            "id": account.id,
            "name": account.name,
            "contacts": counts.map_or(0, |counts| counts.contacts),
            "created_at": rfc3339(account.created_at),
        }));
    }
    Ok(rows.into())
}

async fn backup(app: &App, path: &Path) -> Reply {
    if !path.is_absolute() {
        return Err(Refusal("the path of the backup must be absolute".into()));
    }
    let written = app.store.backup(path).await.map_err(|error| Refusal(error.to_string()))?;
    Ok(json!({
        "path": path,
        "bytes": written.bytes,
        "accounts": written.contents.accounts,
        "contacts": written.contents.contacts,
        "events": written.contents.events,
        "last_event_at": written.contents.last_event_at.map(rfc3339),
    }))
}

/// Does one change as the operator, and tells the secret where it made one.
async fn change(
    app: &App,
    account: Option<AccountId>,
    change: impl FnOnce(&Credential) -> Change,
) -> Reply {
    let account = choose(app, account).await?;
    let seed = app.rng.seed();
    let credential = Credential::from_seed(&seed);
    let cx = Context {
        account: account.id,
        actor: Actor::System,
        at: app.clock.now(),
        request_id: seed.uuid("request id", 0).to_string(),
        seed,
        precondition: None,
        idempotency: None,
    };
    let outcome = apply_one(app, cx, change(&credential)).await.map_err(|error| match error {
        ApiError::NotFound => Refusal("there is no such thing in this account".into()),
        ApiError::HasContacts { count } => {
            Refusal(format!("the channel still has contacts ({count}); --force removes the links"))
        }
        error => Refusal(error.text()),
    })?;
    Ok(match outcome {
        Outcome::KeyCreated(key) | Outcome::KeyRotated(key) => json!({
            "id": key.id,
            "api_key": key.api_key,
            "api_secret": credential.api_secret,
        }),
        Outcome::InboxCreated(inbox) | Outcome::InboxUpdated(inbox) => {
            json!({ "id": inbox.id, "name": inbox.name, "channel_type": inbox.channel_type })
        }
        _ => json!({}),
    })
}

/// The account that a command means.
async fn choose(app: &App, wanted: Option<AccountId>) -> Result<Account, Refusal> {
    let mut accounts = app.store.accounts().await.map_err(refuse)?;
    match wanted {
        Some(id) => accounts
            .into_iter()
            .find(|account| account.id == id)
            .ok_or_else(|| Refusal(format!("there is no account {id}"))),
        None if accounts.len() > 1 => {
            Err(Refusal("there are several accounts; choose one with --account".into()))
        }
        None => accounts
            .pop()
            .ok_or_else(|| Refusal("there is no account yet; run `meishi init`".into())),
    }
}

fn checked_name(name: &str) -> Result<String, Refusal> {
    if name.trim().is_empty() {
        return Err(Refusal("the name must not be empty".into()));
    }
    fields::short_text("name", name).map_err(|fault| Refusal(fault.message))
}

fn refuse(error: meishi_store::StoreError) -> Refusal {
    Refusal(ApiError::from(error).text())
}
