
use builtin;
use str;

set edit:completion:arg-completer[nest] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'nest'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'nest'= {
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand restart 'Bring nests back: sign, restart, print the new token and endpoints'
            cand key 'Keep host keys in the OS keyring'
            cand mock 'Start the bundled server on loopback: Nests API, LiveKit signal, relay'
            cand completions 'Print a script that teaches your shell the commands and options'
            cand man 'Print a man page'
        }
        &'nest;restart'= {
            cand --hold 'With --check: stay inside this long, and tell if anything closes the room (at most 55s)'
            cand -j 'Rooms in work at the same time'
            cand --jobs 'Rooms in work at the same time'
            cand --api 'The Nests API: its origin, or the full …/api/v1/nests [env: NEST_API]'
            cand --cacert 'Trust the certificates in this PEM file too, for a private CA'
            cand --relay 'A relay to look for the nest''s event on; may be given several times [env: NEST_RELAYS]'
            cand --relay-timeout 'Limit of what is asked of relays'
            cand --timeout 'Limit of one attempt: 500ms, 2s, 5m'
            cand --retries 'Attempts after the first, for failures that are safe to repeat'
            cand --max-wait 'The longest pause that a server may ask for'
            cand --key-file 'A file with the host''s key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]'
            cand --passphrase-file 'A file with the passphrase of an ncryptsec'
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --check 'Prove that the new session can be joined (as a listener)'
            cand --as-host 'With --check: join with the host''s token; ejects a host who is connected elsewhere'
            cand --if-inactive 'Do nothing for a nest that runs'
            cand --no-wait 'End at once if another restart of the room is running on this machine'
            cand -y 'Ask nothing'
            cand --yes 'Ask nothing'
            cand --dry-run 'Send nothing; show what would be sent, the signature masked'
            cand --allow-http 'Accept plain http to other machines'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'nest;key'= {
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand import 'Put a key into the OS keyring: from a hidden prompt, a file or stdin'
            cand show 'Show the public part of the key that would be used'
            cand list 'Show the keys in the keyring'
            cand default 'Say which key is used when several would do'
            cand remove 'Take a key out of the keyring'
        }
        &'nest;key;import'= {
            cand --key-file 'A file with the host''s key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]'
            cand --passphrase-file 'A file with the passphrase of an ncryptsec'
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'nest;key;show'= {
            cand --key-file 'A file with the host''s key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]'
            cand --passphrase-file 'A file with the passphrase of an ncryptsec'
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'nest;key;list'= {
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'nest;key;default'= {
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'nest;key;remove'= {
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand -y 'Ask nothing'
            cand --yes 'Ask nothing'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'nest;mock'= {
            cand --listen 'A loopback address; port 0 takes a free one'
            cand --fault 'Let something go wrong; may be given several times'
            cand --livekit 'Use a real LiveKit server instead of the embedded one'
            cand --livekit-key 'Its API key'
            cand --livekit-secret-file 'A file with its API secret'
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'nest;completions'= {
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'nest;man'= {
            cand --output 'What stdout carries'
            cand --color 'Colours [NO_COLOR is honoured]'
            cand --config 'The configuration file [env: NEST_CONFIG]'
            cand --profile 'A section of the configuration file [env: NEST_PROFILE]'
            cand --json 'Short for --output json'
            cand -q 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand --quiet 'Print nothing but errors and warnings (a format that was asked for is still printed)'
            cand -v 'Say more; twice: still more'
            cand --verbose 'Say more; twice: still more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
    ]
    $completions[$command]
}
