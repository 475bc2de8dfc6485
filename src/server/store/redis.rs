//! The adapter for Redis (6 or newer): the records of the other implementations, and beside them what restarts need.
//!
//! | key | what |
//! |---|---|
//! | `nest:<id>` | the record, as JSON |
//! | `nest-serve:lease:<id>` | the lease of whoever restarts the nest, for [`LEASE_TTL`] |
//! | `nest-serve:leases:<id>` | `last`, `restarted`, `failed`, `unfinished`: numbers of leases, for an hour |
//! | `nest-serve:used:<event>` | the address that has used a signature first |
//!
//! Scripts touch several keys of a nest: a Redis Cluster cannot run them.

use std::future::Future;
use std::net::{AddrParseError, IpAddr};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{
    AsyncCommands as _, Client, ErrorKind, FromRedisValue, IntoConnectionInfo as _, ProtocolVersion, RedisError,
    Script, ToRedisArgs, io::tcp::TcpSettings,
};
use async_trait::async_trait;

use super::{BackendError, LEASE_TTL, LeaseAnswer, NAME, Record, RestartAnswer, RoomStore, UsedSignature};
use crate::clock::millis;
use crate::secret::Secret;

const LIMIT: Duration = Duration::from_millis(500);

/// How often a write starts over because the record was changed at the same moment.
const ATTEMPTS: usize = 10;

#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `redis://host:port/db` or `unix:///path`; may hold a user and a password.
    pub url: Secret,
    /// Comes before the one in the URL.
    pub password: Option<Secret>,
}

pub struct Redis {
    connection: ConnectionManager,
    ttl_ms: u64,
}

/// The answer to somebody who asks for a lease, with its number. A number is a time in microseconds, so that they grow
/// even over a Redis that has forgotten everything.
const LEASE: &str = r"
local function acquire(key, leases, waited_for, ttl)
  local known = redis.call('HMGET', leases, 'last', 'restarted', 'failed')
  if waited_for > 0 and tonumber(known[2] or 0) >= waited_for then return 2, '0' end
  if waited_for > 0 and tonumber(known[3] or 0) >= waited_for then return 3, '0' end
  local held = redis.call('GET', key)
  if held then return 0, held end
  local now = redis.call('TIME')
  local lease = math.max(tonumber(known[1] or 0) + 1, now[1] * 1000000 + now[2])
  lease = string.format('%.0f', lease)
  redis.call('SET', key, lease, 'PX', ttl)
  redis.call('HSET', leases, 'last', lease, 'unfinished', lease)
  redis.call('EXPIRE', leases, 3600)
  return 1, lease
end
";

/// With [`LEASE`]. KEYS lease, leases; ARGV what was waited for or 0, milliseconds of a lease.
const ACQUIRE: &str = "return {acquire(KEYS[1], KEYS[2], tonumber(ARGV[1]), ARGV[2])}";

/// With [`LEASE`]. KEYS lease, leases, record, signature; ARGV host, milliseconds of a lease, address of the client, seconds
/// to remember that it has used the signature.
const BEGIN: &str = r"
local first = redis.call('SET', KEYS[4], ARGV[3], 'NX', 'EX', ARGV[4])
if not first then return {4, '0', false} end
local record = redis.call('GET', KEYS[3])
local read, fields = pcall(cjson.decode, record or '')
if not read or type(fields) ~= 'table' or fields.host ~= ARGV[1] then return {5, '0', record} end
local answer, lease = acquire(KEYS[1], KEYS[2], 0, ARGV[2])
return {answer, lease, record}
";

/// KEYS signature; ARGV address of the client, seconds to remember that it has used the signature. The address that has
/// used it before, if one has. (`SET` with both `NX` and `GET` needs Redis 7.)
const USE: &str = r"
local first = redis.call('GET', KEYS[1])
if not first then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
return first
";

/// Writes the record. One that has no end keeps none, and none is shortened.
const WRITE: &str = r"
local function write(record, text, ttl)
  local left = redis.call('PTTL', record)
  if left == -1 then redis.call('SET', record, text)
  else redis.call('SET', record, text, 'PX', math.max(left, ttl)) end
end
";

/// With [`WRITE`]. KEYS record; ARGV text as it was read, new text, milliseconds to live.
const REPLACE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
write(KEYS[1], ARGV[2], tonumber(ARGV[3]))
return 1
";

/// With [`WRITE`]. KEYS lease, leases, record; ARGV lease, text as it was read or nothing, new text, milliseconds to live.
/// Where the text is another by now, it is handed back.
const FINISH: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, false} end
local current = redis.call('GET', KEYS[3])
if (current or '') ~= ARGV[2] then return {2, current} end
redis.call('HSET', KEYS[2], 'restarted', ARGV[1])
redis.call('HDEL', KEYS[2], 'unfinished')
redis.call('DEL', KEYS[1])
write(KEYS[3], ARGV[3], tonumber(ARGV[4]))
return {1, false}
";

/// KEYS lease, leases; ARGV lease, whether it stays unfinished.
const FAIL: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'failed', ARGV[1])
if ARGV[2] == '0' then redis.call('HDEL', KEYS[2], 'unfinished') end
return redis.call('DEL', KEYS[1])
";

/// KEYS lease, leases, record; ARGV lease.
const DELETE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return 1
";

/// KEYS record; ARGV milliseconds to live.
const RENEW: &str = r"
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
";

impl Redis {
    /// Connects at the first command, and again by itself. Records live for `ttl` after each write. An error is about the
    /// URL and never shows it, since it may hold a password.
    pub fn new(config: &RedisConfig, ttl: Duration) -> Result<Self, BackendError> {
        let wrong = |_: RedisError| BackendError::Broken(NAME, "no redis:// or unix:// URL".into());
        let info = config.url.expose().into_connection_info().map_err(wrong)?;
        // RESP3 tells at once when a connection is lost, so that it is there again before it is needed.
        let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        if let Some(password) = &config.password {
            settings = settings.set_password(password.expose());
        }
        // Many share the connection: what one asks must not wait until what another has asked is acknowledged.
        let tcp = TcpSettings::default().set_nodelay(true);
        let client = Client::open(info.set_redis_settings(settings).set_tcp_settings(tcp)).map_err(wrong)?;
        let reconnecting = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT))
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(200))
            .set_number_of_retries(usize::MAX)
            .set_pipeline_buffer_size(1024);
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, reconnecting).map_err(wrong)?,
            ttl_ms: millis(ttl),
        })
    }

    async fn text(&self, id: &str) -> Result<Option<String>, BackendError> {
        let key = record_key(id);
        self.bounded(std::slice::from_ref(&key), self.connection.clone().get(&key)).await
    }

    /// Runs the script that these parts make.
    async fn run<T>(&self, parts: &[&str], keys: &[String], args: impl ToRedisArgs) -> Result<T, BackendError>
    where
        T: FromRedisValue,
    {
        let script = Script::new(&parts.concat());
        self.bounded(keys, script.key(keys).arg(args).invoke_async(&mut self.connection.clone())).await
    }

    /// Waits for the answer to a command about these keys, but not for ever.
    async fn bounded<T>(
        &self,
        keys: &[String],
        command: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, BackendError> {
        match tokio::time::timeout(LIMIT, command).await {
            Ok(Err(error)) if is_about_value(&error) => Err(self.blame(keys, &error).await),
            Ok(result) => result.map_err(|error| BackendError::Unreachable(NAME, error.to_string())),
            Err(_) => Err(BackendError::Unreachable(NAME, format!("no answer within {} ms", LIMIT.as_millis()))),
        }
    }

    /// One of these keys holds what it should not: says what they hold, for whoever has to mend it.
    async fn blame(&self, keys: &[String], error: &RedisError) -> BackendError {
        let mut held = Vec::new();
        for key in keys {
            let kind = tokio::time::timeout(LIMIT, self.connection.clone().key_type::<_, String>(key)).await;
            held.extend(kind.into_iter().flatten().map(|kind| format!("{key} is a {kind}")));
        }
        match held.join(", ") {
            // What answers is no Redis.
            none if none.is_empty() => BackendError::Unreachable(NAME, error.to_string()),
            held => BackendError::Broken(NAME, format!("{held}: {error}")),
        }
    }
}

/// Whether a value is not what it should be, and waiting does not help.
fn is_about_value(error: &RedisError) -> bool {
    // Where it comes out of a script, older versions have the code in the text only.
    error.kind() == ErrorKind::Parse || error.to_string().contains("WRONGTYPE")
}

fn record_key(id: &str) -> String {
    format!("nest:{id}")
}

fn used_key(signature: &UsedSignature) -> String {
    format!("nest-serve:used:{}", signature.id)
}

/// What scripts are told about the use of a signature, which is to be remembered for some seconds.
fn use_args(signature: &UsedSignature, memory: Duration) -> (String, u64) {
    (signature.from.to_string(), memory.as_secs().max(1))
}

fn lease_answer(answer: u8, lease: u64) -> LeaseAnswer {
    match answer {
        0 => LeaseAnswer::Held(lease),
        1 => LeaseAnswer::Granted(lease),
        2 => LeaseAnswer::Restarted,
        _ => LeaseAnswer::Failed,
    }
}

/// The keys of the scripts about leases, in their order.
fn lease_keys(id: &str) -> [String; 3] {
    [format!("nest-serve:lease:{id}"), format!("nest-serve:leases:{id}"), record_key(id)]
}

fn read(id: &str, text: &str) -> Result<Record, BackendError> {
    let wrong = |error| BackendError::Broken(NAME, format!("{} is not a record: {error}", record_key(id)));
    serde_json::from_str(text).map_err(wrong)
}

fn write(record: &Record) -> Result<String, BackendError> {
    serde_json::to_string(record).map_err(|error| BackendError::Broken(NAME, error.to_string()))
}

#[async_trait]
impl RoomStore for Redis {
    async fn get(&self, id: &str) -> Result<Option<Record>, BackendError> {
        self.text(id).await?.map(|text| read(id, &text)).transpose()
    }

    async fn put(&self, new: &Record) -> Result<(), BackendError> {
        let key = record_key(&new.id);
        let text = write(new)?;
        self.bounded(std::slice::from_ref(&key), self.connection.clone().pset_ex(&key, text, self.ttl_ms)).await
    }

    async fn replace(&self, old: &Record, new: &Record) -> Result<bool, BackendError> {
        let Some(text) = self.text(&old.id).await? else { return Ok(false) };
        if read(&old.id, &text)? != *old {
            return Ok(false);
        }
        self.run(&[WRITE, REPLACE], &[record_key(&old.id)], (&text, write(new)?, self.ttl_ms)).await
    }

    async fn renew(&self, id: &str) -> Result<(), BackendError> {
        self.run(&[RENEW], &[record_key(id)], self.ttl_ms).await
    }

    async fn acquire_lease(&self, id: &str, waited_for: Option<u64>) -> Result<LeaseAnswer, BackendError> {
        let args = (waited_for.unwrap_or(0), millis(LEASE_TTL));
        let (answer, lease) = self.run(&[LEASE, ACQUIRE], &lease_keys(id)[..2], args).await?;
        Ok(lease_answer(answer, lease))
    }

    async fn begin_restart(
        &self,
        id: &str,
        host: &str,
        signature: UsedSignature,
        memory: Duration,
    ) -> Result<RestartAnswer, BackendError> {
        let [lease, leases, record] = lease_keys(id);
        let keys = [lease, leases, record, used_key(&signature)];
        let args = (host, millis(LEASE_TTL), use_args(&signature, memory));
        let asked = Instant::now();
        let (answer, lease, text): (u8, u64, Option<String>) = self.run(&[LEASE, BEGIN], &keys, args).await?;
        if answer == 4 {
            return Ok(RestartAnswer::Replayed);
        }
        let record = text.map(|text| read(id, &text)).transpose();
        if answer == 1 && record.is_err() {
            self.fail_restart(id, lease, false).await?;
        }
        Ok(match record? {
            None => RestartAnswer::NotFound,
            Some(_) if answer == 5 => RestartAnswer::NotHost,
            Some(record) => RestartAnswer::Host(lease_answer(answer, lease), asked, record.into()),
        })
    }

    async fn restart_unfinished(&self, id: &str) -> Result<bool, BackendError> {
        let leases = &lease_keys(id)[1..2];
        self.bounded(leases, self.connection.clone().hexists(&leases[0], "unfinished")).await
    }

    async fn finish_restart(&self, lease: u64, before: &Record, restarted: &Record) -> Result<bool, BackendError> {
        let keys = lease_keys(&restarted.id);
        // What another implementation has written may look different: then the script hands it back.
        let mut text = Some(write(before)?);
        for _ in 0..ATTEMPTS {
            let current = text.as_deref().map(|text| read(&restarted.id, text)).transpose()?;
            let new = write(&restarted.restarted(current))?;
            let args = (lease, text.as_deref().unwrap_or_default(), new, self.ttl_ms);
            match self.run(&[WRITE, FINISH], &keys, args).await? {
                (0, _) => return Ok(false),
                (1, _) => return Ok(true),
                (_, current) => text = current,
            }
        }
        Err(BackendError::Unreachable(NAME, "the record changes all the time".into()))
    }

    async fn fail_restart(&self, id: &str, lease: u64, unfinished: bool) -> Result<(), BackendError> {
        self.run(&[FAIL], &lease_keys(id)[..2], (lease, u8::from(unfinished))).await
    }

    async fn delete(&self, id: &str, lease: u64) -> Result<bool, BackendError> {
        self.run(&[DELETE], &lease_keys(id), lease).await
    }

    async fn first_use(&self, signature: UsedSignature, memory: Duration) -> Result<Option<IpAddr>, BackendError> {
        let first: Option<String> = self.run(&[USE], &[used_key(&signature)], use_args(&signature, memory)).await?;
        let wrong = |error: AddrParseError| BackendError::Broken(NAME, error.to_string());
        first.map(|first| first.parse().map_err(wrong)).transpose()
    }
}
