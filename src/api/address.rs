//! Where a Nests API is, what its rooms are called, and the URLs of both, exactly as they are signed and sent.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

pub use super::wire::API_PATH;
use crate::net::is_loopback;

/// All but the unreserved characters of RFC 3986, 2.3.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a text is no usable API address or room id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Empty, `.` or `..`: these would change the path of the request.
    #[error("{0:?} is not a room id")]
    NotAnId(String),
    /// Not a URL, or one with parts that an API address cannot have.
    #[error("{text:?} is not the address of a Nests API: {why}")]
    Malformed { text: String, why: &'static str },
    #[error("{0} would send the signature in the clear")]
    Insecure(ApiUrl),
}

/// The id of a nest: the `d` of its event, the name of its LiveKit room. Kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(String);

impl RoomId {
    /// Takes any text but those that a path would swallow.
    ///
    /// # Errors
    /// [`AddressError::NotAnId`] for an empty text, `.` and `..`.
    pub fn new(id: impl Into<String>) -> Result<Self, AddressError> {
        let id = id.into();
        if matches!(id.as_str(), "" | "." | "..") { Err(AddressError::NotAnId(id)) } else { Ok(Self(id)) }
    }

    /// The id as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as one segment of a path, percent-encoded once.
    pub fn path_segment(&self) -> String {
        utf8_percent_encode(&self.0, PATH_SEGMENT).to_string()
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A Nests API: `https://host[:port][/prefix]/api/v1/nests`, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiUrl(Url);

impl ApiUrl {
    /// Reads an origin (with or without a prefix) or a full `…/api/v1/nests`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let malformed = |why| AddressError::Malformed { text: without_credentials(text), why };
        let mut url = Url::parse(text.trim()).map_err(|_| malformed("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(malformed("it must begin with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(malformed("it must not contain a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(malformed("it must not contain ? or #"));
        }
        let path = url.path().trim_end_matches('/');
        let full = if path.ends_with(API_PATH) { path.to_owned() } else { format!("{path}{API_PATH}") };
        url.set_path(&full);
        Ok(Self(url))
    }

    /// The same as a person writes it: what looks like a host, with or without a port, means `https`.
    pub fn named(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let is_host = !text.contains("://") && (text.contains(['.', ':']) || text == "localhost");
        if is_host { Self::parse(&format!("https://{text}")) } else { Self::parse(text) }
    }

    /// The same, if it may be talked to: `https`, loopback, or the user allowed plain http.
    pub fn secure(self, allow_http: bool) -> Result<Self, AddressError> {
        if self.0.scheme() == "https" || allow_http || self.is_loopback() {
            Ok(self)
        } else {
            Err(AddressError::Insecure(self))
        }
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Whether what it says can be believed: nobody in between can have changed it.
    pub fn is_trusted_path(&self) -> bool {
        self.0.scheme() == "https" || self.is_loopback()
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL of the API itself.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The URL of a room, followed by `action` (such as `/restart`, or nothing).
    pub fn room(&self, id: &RoomId, action: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{}{action}", self.0.path(), id.path_segment()));
        url
    }

    /// The URL that restarts a room.
    pub fn restart(&self, id: &RoomId) -> Url {
        self.room(id, "/restart")
    }

    /// The URL of `/health`, which lies beside the API.
    pub fn health(&self) -> Url {
        let mut url = self.0.clone();
        let prefix = self.0.path().strip_suffix(API_PATH).unwrap_or_default();
        url.set_path(&format!("{prefix}/health"));
        url
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a URL is one that restarts a room.
pub(crate) fn is_restart(url: &str) -> bool {
    url.ends_with("/restart")
}

fn without_credentials(text: &str) -> String {
    match text.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://***@{rest}"),
        None => text.to_owned(),
    }
}
