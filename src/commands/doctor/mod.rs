//! `nest doctor`: every link between a host and a nest, as data.
//!
//! Nothing is changed, and an empty nest is not joined: that would shorten its life.

mod connection;
mod findings;
mod media;

pub(crate) use self::connection::ApiConnection;
pub(crate) use self::findings::{DoctorFindings, Far};
pub(crate) use self::media::Media;
use super::{Error, Job, Stop};
use crate::room::RoomRef;

/// Looks at everything about a nest; without one, at what all nests of a server have in common. Ends within about the
/// time-out, once the key is there.
///
/// # Errors
/// [`Error::Interrupted`], and what [`super::Settings::api_named`] says against the name.
pub(crate) async fn run(job: &Job<'_>, room: Option<&RoomRef>, stop: &Stop) -> Result<DoctorFindings, Error> {
    stop.unless(Box::pin(DoctorFindings::gather(job, room))).await
}
