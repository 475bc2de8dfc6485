//! Which requests go through a proxy.

use nostr_nests::net::proxy::Proxy;
use url::Url;

#[test]
fn what_goes_through_which_proxy() {
    let url = |text: &str| Url::parse(text).unwrap();
    let proxy = Proxy {
        https: Some(("HTTPS_PROXY", url("http://me:hunter2@proxy.example:3128"))),
        http: None,
        except: Some("nests.example, .direct.example, 10.0.0.0/8".into()),
    };
    let via = |text: &str| proxy.via(&url(text)).map(|via| via.host);
    assert_eq!(via("https://other.example").as_deref(), Some("proxy.example:3128"));
    for direct in [
        "http://other.example",
        "https://nests.example/api",
        "https://a.direct.example",
        "https://10.1.2.3",
        "https://127.0.0.1:8443",
        "https://localhost",
    ] {
        assert_eq!(via(direct), None, "{direct}");
    }
    assert!(!format!("{proxy:?}").contains("hunter2"));
}
