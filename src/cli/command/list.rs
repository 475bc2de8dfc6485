//! `nest list`.

use std::sync::{Mutex, OnceLock, PoisonError};

use console::{measure_text_width, truncate_str};
use nostr::PublicKey;
use nostr::nips::nip05::Nip05Address;
use nostr::nips::nip19::{FromBech32 as _, Nip19Profile};
use serde_json::json;

use super::prelude::*;
use crate::cli::messages::{moq, notices};
use crate::clock::{self, Clock};
use crate::commands::list::{self, ListRequest, Nest, NestState, ShortNames, Watch, Whose};
use crate::reporter::Reporter as _;

/// The widest title that is shown to a terminal.
const TITLE_MAX: usize = 32;
/// The narrowest title that is worth having a link beside it.
const TITLE_MIN: usize = 12;
const LINK_MIN: usize = 16;
const STATUS: usize = 7;
const STATE: usize = 11;
const PEOPLE: usize = 6;
const AGE: usize = 8;
const GAP: usize = 2;
const HEADS: [&str; 7] = ["NAME", "TITLE", "STATUS", "STATE", "PEOPLE", "AGE", "LINK"];
/// `@k3f9`, as most names are.
const SHORT: usize = 5;
/// `21:07`, before what is followed.
const TIME: usize = 5;

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  nest list                                       the nests of your key
  nest list --inactive                            those that are open and dead
  nest list --follow                              stay, and tell what changes
  nest list --host bob@example.com                somebody else's; no key is needed
  nest list --json | jq -r 'select(.state == \"gone\") | .naddr'
",
    after_help = exit_help()
)]
pub struct ListArgs {
    /// Whose nests: npub, nprofile, hex, or a NIP-05 address [default: those of the key]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Only those that are open by their event and have no audio room
    #[arg(long)]
    pub inactive: bool,
    /// Print the aliases of the configuration instead; nobody is asked
    #[arg(long, conflicts_with_all = ["host", "inactive", "follow"])]
    pub aliases: bool,
    #[command(flatten)]
    pub follow: FollowArgs,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

pub(super) async fn run(app: &App<'_>, args: &ListArgs) -> Result<u8, Failure> {
    let terminal = &*app.terminal;
    if args.aliases {
        aliases(app);
        return Ok(0);
    }
    let settings = app.sources.settings(&args.server, &args.key)?;
    let whose = args.host.as_deref().map(whose).transpose()?.unwrap_or_default();
    let request = ListRequest { whose, inactive: args.inactive };
    let follow = args.follow.follow;
    let names = Mutex::new(app.sources.short_names());
    let table = Table { terminal, aliases: app.sources.aliased().collect(), names, widths: OnceLock::new(), follow };
    if follow {
        let followed = list::follow(&app.job(settings)?, &request, args.follow.interval, &app.stop, &table).await;
        terminal.end_row(list::ROW);
        return App::followed(followed);
    }
    let hidden = list::run(&app.job(settings)?, &request, &app.stop, &table).await;
    terminal.end_row(list::ROW);
    for nest in hidden.map_err(|error| Failure::of(&error, Verb::List, ""))? {
        let why = nest.why.as_deref().unwrap_or_default();
        terminal.warn(&format!("{}: not known whether it is inactive: {why}", nest.name()));
    }
    Ok(0)
}

fn aliases(app: &App<'_>) {
    let aliases: Vec<_> = app.sources.aliases().collect();
    if app.terminal.style.format == Format::Json {
        app.terminal.document(&json!({ "aliases": aliases }), false);
    } else {
        for alias in &aliases {
            app.terminal.result(&clean(alias));
        }
    }
}

fn whose(text: &str) -> Result<Whose, Failure> {
    let plain = text.strip_prefix("nostr:").unwrap_or(text);
    if let Ok(key) = PublicKey::parse(plain) {
        return Ok(Whose::Key(key, Vec::new()));
    }
    if let Ok(profile) = Nip19Profile::from_bech32(plain) {
        return Ok(Whose::Key(profile.public_key, profile.relays));
    }
    let (name, domain) = text.rsplit_once('@').unwrap_or(("_", text));
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let hosted = (domain.contains('.') || domain.contains(':')) && !domain.contains(['/', '?', '#', '\\']);
    let address = Nip05Address::parse(&format!("{}@{domain}", name.to_ascii_lowercase())).ok();
    address.filter(|_| named && hosted).map(Whose::Address).ok_or_else(|| {
        Failure::usage(format!("{text:?} names no host"))
            .hint("a host is named by npub1…, nprofile1…, a key in hex, or an address like bob@example.com")
    })
}

/// One line a nest, fit for the terminal, or documents.
struct Table<'a> {
    terminal: &'a Terminal,
    aliases: Vec<(String, RoomRef)>,
    names: Mutex<ShortNames>,
    widths: OnceLock<Widths>,
    /// Whether each line begins with the time.
    follow: bool,
}

/// Widths of the columns; those that have none are left out.
type Widths = [Option<usize>; 7];

/// What fits into so many columns of the terminal; without one there is no limit. The name, by which a nest is called in
/// other commands, is never cut, and how it is never left out.
fn fit(name: usize, titles: impl Iterator<Item = usize>, columns: Option<usize>) -> Widths {
    let longest = titles.max().unwrap_or_default().max("TITLE".len());
    let Some(columns) = columns else {
        return [Some(name), Some(longest), Some(STATUS), Some(STATE), Some(PEOPLE), Some(AGE), Some(usize::MAX)];
    };
    let mut widths = [Some(name), None, None, Some(STATE), None, None, None];
    // A terminal may break a line that fills it.
    let mut left = columns.saturating_sub(name + GAP + GAP + STATE + 1);
    let title = longest.min(TITLE_MIN);
    for (at, width) in [(4, PEOPLE), (5, AGE), (2, STATUS)] {
        if left >= title + GAP + width {
            widths[at] = Some(width);
            left -= GAP + width;
        }
    }
    if left >= title + GAP + LINK_MIN {
        let title = longest.min(TITLE_MAX).min(left - GAP - LINK_MIN);
        widths[6] = Some(left - GAP - title);
        left = title;
    }
    widths[1] = Some(longest.min(left));
    widths
}

impl Table<'_> {
    /// How other commands call it: an alias of the configuration, or else its short name.
    fn name(&self, nest: &Nest) -> Option<String> {
        let (id, host) = (nest.room.event.id(), nest.room.event.host());
        let alias = self.aliases.iter().find(|(_, room)| room.id == *id && room.host.is_none_or(|named| named == host));
        let short = || Some(format!("@{}", self.names.lock().unwrap_or_else(PoisonError::into_inner).of(nest)?));
        alias.map(|(alias, _)| alias.clone()).or_else(short)
    }

    fn remember(&self) {
        if let Err(error) = self.names.lock().unwrap_or_else(PoisonError::into_inner).save() {
            self.terminal.warn(&notices::short_names_lost(&error));
        }
    }
}

impl Watch for Table<'_> {
    fn begins(&self, nests: &[Nest]) {
        self.terminal.end_row(list::ROW);
        let style = self.terminal.style;
        if nests.is_empty() {
            self.terminal.status("the relays have no nest of this host");
        }
        let names: Vec<_> = nests.iter().map(|nest| self.name(nest).unwrap_or_default()).collect();
        self.remember();
        let titles = nests.iter().map(|nest| measure_text_width(&clean(nest.name())));
        let time = if self.follow { TIME + GAP } else { 0 };
        let name = names.iter().map(|name| measure_text_width(name)).max().unwrap_or_default().max("NAME".len());
        let widths = fit(name, titles, style.columns.map(|columns| columns.saturating_sub(time)));
        let _ = self.widths.set(widths);
        if style.format == Format::Text && !style.quiet && style.columns.is_some() && !nests.is_empty() {
            let cells = HEADS.map(|head| (head.to_owned(), Paint::dim as _));
            self.terminal.result(&(" ".repeat(time) + &line(cells, widths, style.out, None)));
        }
    }

    fn row(&self, nest: &Nest) {
        let style = self.terminal.style;
        let name = self.name(nest);
        // It may have been made while the list is followed.
        self.remember();
        let text = |paint| {
            let widths = self.widths.get().copied().unwrap_or_else(|| fit(SHORT, std::iter::empty(), style.columns));
            let cells = cells(nest, name.as_deref(), Clock::default());
            let row = line(cells, widths, paint, style.columns.and(nest.link.as_deref()));
            let time = clock::local_time(Clock::default().now_ms()).filter(|_| self.follow);
            time.map_or_else(String::new, |time| paint.dim(&time) + "  ") + &row
        };
        self.terminal.outcome(true, || document::nest(nest, name.as_deref()), |paint| Some(text(paint)));
        if !nest.shown.is_empty() && style.format != Format::Json {
            self.terminal.detail(1, &format!("{}: {}", nest.name(), moq::shown(&nest.shown)));
        }
        if let Some(why) = nest.why.as_ref().filter(|_| style.format != Format::Json) {
            self.terminal.detail(1, &format!("{}: {why}", nest.name()));
        }
    }
}

type Cell = (String, fn(Paint, &str) -> String);

fn cells(nest: &Nest, name: Option<&str>, clock: Clock) -> [Cell; 7] {
    let (state, paint): Cell = match (nest.state, nest.record) {
        (NestState::Running, Some(false)) => ("running".into(), Paint::warn),
        (NestState::Running, _) => ("running".into(), Paint::good),
        (NestState::Inactive, _) => ("inactive".into(), Paint::warn),
        (NestState::Gone, _) => ("gone".into(), Paint::bad),
        (NestState::Over, _) => ("–".into(), Paint::dim),
        (NestState::Planned, _) => ("planned".into(), Paint::dim),
        (NestState::NotChecked, _) => ("not checked".into(), Paint::dim),
        (NestState::Unknown, _) => ("no answer".into(), Paint::warn),
    };
    let people = nest.people.map_or_else(|| "–".to_owned(), |people| people.to_string());
    let age = clock.now_s().saturating_sub(nest.since_s);
    let age = if age < 0 { "to come".to_owned() } else { clock::span(age.saturating_mul(1000)) };
    let over = nest.state == NestState::Over;
    let dim_if_over: fn(Paint, &str) -> String = if over { Paint::dim } else { |_, text| text.to_owned() };
    [
        (name.unwrap_or("–").to_owned(), |_, text| text.to_owned()),
        (clean(nest.name()), if over { Paint::dim } else { Paint::strong }),
        (clean(&nest.status), dim_if_over),
        (state, paint),
        (people, dim_if_over),
        (age, dim_if_over),
        (nest.link.clone().unwrap_or_else(|| nest.room_id.clone()), Paint::dim),
    ]
}

/// The cells under each other: cut to their columns, then coloured. Title and link lead to `target`.
fn line(cells: [Cell; 7], widths: Widths, paint: Paint, target: Option<&str>) -> String {
    let last = widths.iter().rposition(Option::is_some).unwrap_or_default();
    let mut out = String::new();
    for (at, ((text, colour), width)) in cells.into_iter().zip(widths).enumerate() {
        let Some(width) = width else { continue };
        let text = clean(&text);
        let shown = truncate_str(&text, width, "…");
        let padding = if at == last { 0 } else { width.saturating_sub(measure_text_width(&shown)) + GAP };
        let shown = colour(paint, &shown);
        out.push_str(
            &target.filter(|_| [1, 6].contains(&at)).map_or_else(|| shown.clone(), |url| paint.link(&shown, url)),
        );
        out.push_str(&" ".repeat(padding));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_the_terminal() {
        let cell = |text: &str| -> Cell { (text.into(), Paint::strong) };
        for columns in [40, 45, 60, 80, 120, 400] {
            for title in ["Weekly", "日本語のとても長い題名がここに", "x y z and so on and so on and so on and so on"]
            {
                let name = "@k3f9";
                let widths = fit(name.len(), [measure_text_width(title)].into_iter(), Some(columns));
                let link = "naddr1q".repeat(30);
                let cells = [name, title, "private", "not checked", "1200", "400 days", &link].map(cell);
                let row = line(cells, widths, Paint { on: true, links: true }, Some("https://x/whole"));
                let width = measure_text_width(&row);
                assert!(width < columns, "{columns}: {width} {row}");
                assert!(row.contains(name) && row.contains("not checked"), "{row}");
                assert!(row.contains("\x1b]8;;https://x/whole\x1b\\"), "the whole link is behind it: {row}");
                let all = ["1200", "400 days", "private"].map(|cell| row.contains(cell));
                assert!(columns < 60 || all == [true; 3], "{columns}: {row}");
            }
        }
    }

    #[test]
    fn hosts_are_named_in_several_ways() {
        let key = nostr::Keys::generate().public_key();
        assert!(matches!(whose(&key.to_hex()), Ok(Whose::Key(found, _)) if found == key));
        let address = |text: &str| match whose(text) {
            Ok(Whose::Address(address)) => Some(address.url().to_string()),
            _ => None,
        };
        let bob = "https://example.com/.well-known/nostr.json?name=bob";
        assert_eq!(address("Bob@example.com").as_deref(), Some(bob));
        assert_eq!(address("example.com").as_deref(), Some("https://example.com/.well-known/nostr.json?name=_"));
        for wrong in ["bob", "a@b@example.com", "bob@example.com/x", "bob@example.com?x=1", "b b@example.com", "@x.y"] {
            assert_eq!(whose(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }
}
