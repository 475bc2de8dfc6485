//! A mistake in the configuration: where it is, and what was meant.

use std::fmt::Display;
use std::ops::Range;

use console::measure_text_width;

use super::errors::Failure;
use crate::secret::scrub;

/// How much two words have to be alike for the one to be meant by the other; as clap has it.
const ALIKE: f64 = 0.7;

/// Where the name of a signer is expected, and the address of one stands.
pub(in crate::cli) const PAIR_FIRST: &str = "pair with the signer once, `nest key connect`, and then name it";

/// `span` is what is wrong of `text`, in bytes, and `why` what the parser says of it.
pub(in crate::cli) fn mistake(text: &str, span: Option<Range<usize>>, why: &str, path: &dyn Display) -> Failure {
    let why = why.lines().collect::<Vec<_>>().join(", ");
    let mut names = why.split('`').skip(1).step_by(2);
    let meant =
        if why.starts_with("unknown field") { names.next().and_then(|wrong| alike(wrong, names)) } else { None };
    let place = span.and_then(|span| Some((text.get(..span.start)?, text.get(span)?)));
    let Some((before, wrong)) = place else {
        return Failure::usage(format!("the configuration {path} has a mistake: {why}"));
    };
    let number = before.matches('\n').count() + 1;
    let line = text.split('\n').nth(number - 1).unwrap_or_default().replace('\t', " ");
    let before = before.rsplit('\n').next().unwrap_or_default().replace('\t', " ");
    let gutter = format!("  {number} | ");
    let indent = gutter.len() + measure_text_width(&before);
    let width = measure_text_width(wrong.lines().next().unwrap_or_default()).max(1);
    // Below a secret, which is masked, the mark would stand elsewhere.
    let masked = scrub(&line) != line;
    let excerpt = [format!("{gutter}{line}"), format!("{:indent$}{}", "", "^".repeat(width))];
    let failure = Failure {
        excerpt: excerpt.into_iter().filter(|_| !masked).collect(),
        ..Failure::usage(format!("the configuration {path} has a mistake on line {number}: {why}"))
    };
    meant.into_iter().fold(failure, Failure::hint)
}

/// Which of the names that are known was meant, if one is near enough.
pub(in crate::cli) fn alike(wrong: &str, known: impl IntoIterator<Item = impl AsRef<str>>) -> Option<String> {
    let known = known.into_iter().map(|name| (strsim::jaro(wrong, name.as_ref()), name));
    let (_, name) = known.filter(|(near, _)| *near > ALIKE).max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    Some(format!("did you mean `{}`?", name.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_and_what_was_meant_are_shown() {
        let text = "api = 'x'\nrelasy = ['wss://a']\n";
        let told = mistake(text, Some(10..16), "unknown field `relasy`, expected one of `api`, `relays`", &"c.toml");
        assert!(
            told.message.starts_with("the configuration c.toml has a mistake on line 2: unknown field"),
            "{told:?}"
        );
        assert_eq!(told.excerpt, ["  2 | relasy = ['wss://a']", "      ^^^^^^"]);
        assert_eq!(told.hints, ["did you mean `relays`?"]);
        let far = mistake(text, Some(10..16), "unknown field `xyz`, expected `api`", &"c.toml");
        assert_eq!(far.hints, Vec::<String>::new());
        assert_eq!(mistake("", None, "no key", &"c.toml").excerpt, Vec::<String>::new());
        assert_eq!(mistake("a = ", Some(4..4), "no value", &"c.toml").excerpt[1], "          ^");
    }

    #[test]
    fn a_key_in_the_wrong_place_is_not_shown() {
        let text = "key = 'nsec1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq'";
        assert_eq!(mistake(text, Some(0..3), "unknown field `key`", &"c.toml").excerpt, Vec::<String>::new());
    }
}
