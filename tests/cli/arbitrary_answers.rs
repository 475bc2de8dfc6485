//! Any bytes as an answer: never a panic, never an endless wait.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::support::arbitrary::body;
use crate::support::nest::{Nest, mock};
use crate::support::raw::Raw;

/// Beginnings of answers, and what may follow.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just(String::new()),
        "HTTP/1\\.[01] [1-5][0-9]{2} [A-Za-z ]{0,9}\r\n",
        "HTTP/[0-9.]{1,4} [0-9]{1,5}\r\n",
    ];
    let header = "((Content-Length|Transfer-Encoding|Content-Encoding|Retry-After|Date|Location|Connection): ?[ -~]{0,20}\r\n){0,3}(\r\n)?";
    (head, header, body()).prop_map(|(head, header, body)| [head.into_bytes(), header.into_bytes(), body].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_server_says_the_end_is_one_of_the_codes(bytes in wire()) {
        let server = Raw::answering(bytes);
        let since = Instant::now();
        let output = Nest::new(&NOBODY).env("NEST_API", server.url())
            .args(["restart", "demo", "--timeout", "120ms", "--max-wait", "50ms", "--retries", "1", "--json"]).run();
        prop_assert!(matches!(output.code, 0 | 1 | 4..=7 | 9 | 11), "{:?}", output);
        prop_assert!(since.elapsed() < Duration::from_secs(5));
        prop_assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
        let document = output.document();
        prop_assert_eq!(document.get("error").is_some(), output.code != 0);
    }
}

/// Lends its key; nobody talks to it.
static NOBODY: std::sync::LazyLock<nostr_nests::server::Mock> = std::sync::LazyLock::new(|| mock(&[]));
