//! The adapter for Redis (6 or newer): the records of the other implementations, and beside them what restarts need.
//!
//! | key | what |
//! |---|---|
//! | `nest:<id>` | the record, as JSON |
//! | `nest-serve:turn:<id>` | the turn of whoever restarts the nest, for [`TURN`] |
//! | `nest-serve:turns:<id>` | `last`, `done`, `failed`, `open`: turns, for an hour |
//! | `nest-serve:used:<event>` | a signature that was used |
//!
//! Scripts touch several keys of a nest: a Redis Cluster cannot run them.

use std::future::Future;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{AsyncCommands as _, Client, IntoConnectionInfo as _, ProtocolVersion, RedisError, Script};
use async_trait::async_trait;

use super::{Error, Record, RoomStore, TURN, Turn};
use crate::secret::Secret;

/// How long a command may take.
const LIMIT: Duration = Duration::from_millis(500);

/// How often a write starts over because the record was changed at the same moment.
const ATTEMPTS: usize = 10;

/// Where a Redis is, and its password if it has one.
#[derive(Clone, Debug)]
pub struct Config {
    /// `redis://host:port/db` or `unix:///path`; may hold a user and a password.
    pub url: Secret,
    /// Comes before the one in the URL.
    pub password: Option<Secret>,
}

/// The adapter.
pub struct Redis {
    connection: ConnectionManager,
    ttl_ms: u64,
    scripts: Scripts,
}

struct Scripts {
    turn: Script,
    replace: Script,
    finish: Script,
    fail: Script,
    close: Script,
    renew: Script,
}

/// KEYS turn, turns; ARGV what was waited for or 0, milliseconds of a turn. Turns are microseconds of the clock, so that
/// they grow even over a Redis that has forgotten everything.
const ASK: &str = r"
local after = tonumber(ARGV[1])
local turns = redis.call('HMGET', KEYS[2], 'last', 'done', 'failed')
if after > 0 and tonumber(turns[2] or 0) >= after then return {2, '0'} end
if after > 0 and tonumber(turns[3] or 0) >= after then return {3, '0'} end
local holder = redis.call('GET', KEYS[1])
if holder then return {0, holder} end
local now = redis.call('TIME')
local turn = math.max(tonumber(turns[1] or 0) + 1, now[1] * 1000000 + now[2])
turn = string.format('%.0f', turn)
redis.call('SET', KEYS[1], turn, 'PX', ARGV[2])
redis.call('HSET', KEYS[2], 'last', turn, 'open', turn)
redis.call('EXPIRE', KEYS[2], 3600)
return {1, turn}
";

/// What both writing scripts end with. A record that has no end keeps none, and none is shortened.
const WRITE: &str = r"
local left = redis.call('PTTL', record)
if left == -1 then redis.call('SET', record, text)
else redis.call('SET', record, text, 'PX', math.max(left, ttl)) end
";

/// KEYS record; ARGV text as it was read, new text, milliseconds to live.
const REPLACE: &str = r"
local record, text, ttl = KEYS[1], ARGV[2], tonumber(ARGV[3])
if redis.call('GET', record) ~= ARGV[1] then return 0 end
";

/// KEYS turn, turns, record; ARGV turn, text as it was read or nothing, new text, milliseconds to live.
const FINISH: &str = r"
local record, text, ttl = KEYS[3], ARGV[3], tonumber(ARGV[4])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if (redis.call('GET', record) or '') ~= ARGV[2] then return 2 end
redis.call('HSET', KEYS[2], 'done', ARGV[1])
redis.call('HDEL', KEYS[2], 'open')
redis.call('DEL', KEYS[1])
";

/// KEYS turn, turns; ARGV turn, whether it stays open.
const FAIL: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'failed', ARGV[1])
if ARGV[2] == '0' then redis.call('HDEL', KEYS[2], 'open') end
return redis.call('DEL', KEYS[1])
";

/// KEYS turn, turns, record; ARGV turn.
const CLOSE: &str = r"
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
    /// Connects at the first command, and again by itself. Records live for `ttl` after each write.
    ///
    /// # Errors
    /// When the URL is none. Never shows it, since it may hold a password.
    pub fn new(config: &Config, ttl: Duration) -> Result<Self, Error> {
        let wrong = |_: RedisError| Error::Broken("no redis:// or unix:// URL".into());
        let info = config.url.expose().into_connection_info().map_err(wrong)?;
        // RESP3 tells at once when a connection is lost, so that it is there again before it is needed.
        let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        if let Some(password) = &config.password {
            settings = settings.set_password(password.expose());
        }
        let client = Client::open(info.set_redis_settings(settings)).map_err(wrong)?;
        let manner = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT))
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(200))
            .set_number_of_retries(usize::MAX)
            .set_pipeline_buffer_size(1024);
        let connection = ConnectionManager::new_lazy_with_config(client, manner).map_err(wrong)?;
        let write = |head: &str| Script::new(&format!("{head}{WRITE}return 1"));
        let scripts = Scripts {
            turn: Script::new(ASK),
            replace: write(REPLACE),
            finish: write(FINISH),
            fail: Script::new(FAIL),
            close: Script::new(CLOSE),
            renew: Script::new(RENEW),
        };
        Ok(Self { connection, ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX), scripts })
    }

    async fn text(&self, id: &str) -> Result<Option<String>, Error> {
        let mut connection = self.connection.clone();
        bounded(connection.get(record(id))).await
    }
}

/// Waits for Redis, but not for long.
async fn bounded<T>(command: impl Future<Output = Result<T, RedisError>>) -> Result<T, Error> {
    match tokio::time::timeout(LIMIT, command).await {
        Ok(result) => result.map_err(|error| Error::Unreachable(error.to_string())),
        Err(_) => Err(Error::Unreachable(format!("no answer within {} ms", LIMIT.as_millis()))),
    }
}

fn record(id: &str) -> String {
    format!("nest:{id}")
}

fn turn(id: &str) -> String {
    format!("nest-serve:turn:{id}")
}

fn turns(id: &str) -> String {
    format!("nest-serve:turns:{id}")
}

fn read(text: &str) -> Result<Record, Error> {
    serde_json::from_str(text).map_err(|error| Error::Broken(format!("not a record: {error}")))
}

fn write(record: &Record) -> Result<String, Error> {
    serde_json::to_string(record).map_err(|error| Error::Broken(error.to_string()))
}

#[async_trait]
impl RoomStore for Redis {
    async fn get(&self, id: &str) -> Result<Option<Record>, Error> {
        self.text(id).await?.as_deref().map(read).transpose()
    }

    async fn put(&self, new: &Record) -> Result<(), Error> {
        let mut connection = self.connection.clone();
        bounded(connection.pset_ex(record(&new.id), write(new)?, self.ttl_ms)).await
    }

    async fn replace(&self, old: &Record, new: &Record) -> Result<bool, Error> {
        let Some(text) = self.text(&old.id).await? else { return Ok(false) };
        if read(&text)? != *old {
            return Ok(false);
        }
        let mut connection = self.connection.clone();
        let mut call = self.scripts.replace.key(record(&old.id));
        bounded(call.arg(text).arg(write(new)?).arg(self.ttl_ms).invoke_async(&mut connection)).await
    }

    async fn renew(&self, id: &str) -> Result<(), Error> {
        let mut connection = self.connection.clone();
        let mut call = self.scripts.renew.key(record(id));
        bounded(call.arg(self.ttl_ms).invoke_async(&mut connection)).await
    }

    async fn turn(&self, id: &str, after: Option<u64>) -> Result<Turn, Error> {
        let mut connection = self.connection.clone();
        let mut call = self.scripts.turn.key(turn(id));
        call.key(turns(id)).arg(after.unwrap_or(0)).arg(TURN.as_millis().to_string());
        let (standing, number): (u8, u64) = bounded(call.invoke_async(&mut connection)).await?;
        Ok(match standing {
            0 => Turn::Taken(number),
            1 => Turn::Mine(number),
            2 => Turn::Done,
            _ => Turn::Failed,
        })
    }

    async fn unfinished(&self, id: &str) -> Result<bool, Error> {
        let mut connection = self.connection.clone();
        bounded(connection.hexists(turns(id), "open")).await
    }

    async fn finish(&self, number: u64, restarted: &Record) -> Result<bool, Error> {
        let id = &restarted.id;
        for _ in 0..ATTEMPTS {
            let text = self.text(id).await?;
            let new = match text.as_deref().map(read).transpose()? {
                Some(current) => {
                    Record { status: restarted.status.clone(), restarted_at: restarted.restarted_at, ..current }
                }
                None => restarted.clone(),
            };
            let mut connection = self.connection.clone();
            let mut call = self.scripts.finish.key(turn(id));
            call.key(turns(id)).key(record(id)).arg(number).arg(text.unwrap_or_default()).arg(write(&new)?);
            match bounded(call.arg(self.ttl_ms).invoke_async(&mut connection)).await? {
                0 => return Ok(false),
                1 => return Ok(true),
                _ => {}
            }
        }
        Err(Error::Unreachable("the record changes all the time".into()))
    }

    async fn fail(&self, id: &str, number: u64, retry: bool) -> Result<(), Error> {
        let mut connection = self.connection.clone();
        let mut call = self.scripts.fail.key(turn(id));
        call.key(turns(id)).arg(number).arg(u8::from(retry));
        bounded(call.invoke_async(&mut connection)).await
    }

    async fn close(&self, id: &str, number: u64) -> Result<bool, Error> {
        let mut connection = self.connection.clone();
        let mut call = self.scripts.close.key(turn(id));
        call.key(turns(id)).key(record(id)).arg(number);
        bounded(call.invoke_async(&mut connection)).await
    }

    async fn first_use(&self, what: &str, memory: Duration) -> Result<bool, Error> {
        let mut connection = self.connection.clone();
        let mut command = ::redis::cmd("SET");
        command.arg(format!("nest-serve:used:{what}")).arg(1).arg("NX").arg("EX").arg(memory.as_secs().max(1));
        let set: Option<String> = bounded(command.query_async(&mut connection)).await?;
        Ok(set.is_some())
    }

    async fn ping(&self) -> Result<(), Error> {
        let mut connection = self.connection.clone();
        bounded(connection.ping()).await
    }
}
