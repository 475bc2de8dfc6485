//! Arbitrary bodies of answers, for property tests.

use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes, or something that is nearly an answer.
pub fn body() -> impl Strategy<Value = Vec<u8>> {
    let nearly = r#"\{("(roomId|token|endpoints|message|error)":("demo"|"e30\.e30\.e30"|\[\]|\{\}|null|"[^"]{0,9}"|[0-9]{1,20}),?){0,4}\}?"#;
    prop_oneof![vec(any::<u8>(), 0..300), nearly.prop_map(String::into_bytes)]
}
