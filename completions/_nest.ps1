
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'nest' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'nest'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'nest' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('restart', 'restart', [CompletionResultType]::ParameterValue, 'Bring nests back: sign, restart, print the new token and endpoints')
            [CompletionResult]::new('key', 'key', [CompletionResultType]::ParameterValue, 'Keep host keys in the OS keyring')
            [CompletionResult]::new('mock', 'mock', [CompletionResultType]::ParameterValue, 'Start the bundled server on loopback: Nests API, LiveKit signal, relay')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Serve the Nests API for real, on Redis and LiveKit')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a script that teaches your shell the commands and options')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print a man page')
            break
        }
        'nest;restart' {
            [CompletionResult]::new('--hold', '--hold', [CompletionResultType]::ParameterName, 'With --check: stay inside this long, and tell if anything closes the room (at most 55s)')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'Rooms in work at the same time')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'Rooms in work at the same time')
            [CompletionResult]::new('--api', '--api', [CompletionResultType]::ParameterName, 'The Nests API: its origin, or the full …/api/v1/nests [env: NEST_API]')
            [CompletionResult]::new('--cacert', '--cacert', [CompletionResultType]::ParameterName, 'Trust the certificates in this PEM file too, for a private CA')
            [CompletionResult]::new('--relay', '--relay', [CompletionResultType]::ParameterName, 'A relay to look for the nest''s event on; may be given several times [env: NEST_RELAYS]')
            [CompletionResult]::new('--relay-timeout', '--relay-timeout', [CompletionResultType]::ParameterName, 'Limit of what is asked of relays')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Limit of one attempt: 500ms, 2s, 5m')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'Attempts after the first, for failures that are safe to repeat')
            [CompletionResult]::new('--max-wait', '--max-wait', [CompletionResultType]::ParameterName, 'The longest pause that a server may ask for')
            [CompletionResult]::new('--key-file', '--key-file', [CompletionResultType]::ParameterName, 'A file with the host''s key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]')
            [CompletionResult]::new('--passphrase-file', '--passphrase-file', [CompletionResultType]::ParameterName, 'A file with the passphrase of an ncryptsec')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Prove that the new session can be joined (as a listener)')
            [CompletionResult]::new('--as-host', '--as-host', [CompletionResultType]::ParameterName, 'With --check: join with the host''s token; ejects a host who is connected elsewhere')
            [CompletionResult]::new('--if-inactive', '--if-inactive', [CompletionResultType]::ParameterName, 'Do nothing for a nest that runs')
            [CompletionResult]::new('--no-wait', '--no-wait', [CompletionResultType]::ParameterName, 'End at once if another restart of the room is running on this machine')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Send nothing; show what would be sent, the signature masked')
            [CompletionResult]::new('--allow-http', '--allow-http', [CompletionResultType]::ParameterName, 'Accept plain http to other machines')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'nest;key' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Put a key into the OS keyring: from a hidden prompt, a file or stdin')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show the public part of the key that would be used')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'Show the keys in the keyring')
            [CompletionResult]::new('default', 'default', [CompletionResultType]::ParameterValue, 'Say which key is used when several would do')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Take a key out of the keyring')
            break
        }
        'nest;key;import' {
            [CompletionResult]::new('--key-file', '--key-file', [CompletionResultType]::ParameterName, 'A file with the host''s key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]')
            [CompletionResult]::new('--passphrase-file', '--passphrase-file', [CompletionResultType]::ParameterName, 'A file with the passphrase of an ncryptsec')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'nest;key;show' {
            [CompletionResult]::new('--key-file', '--key-file', [CompletionResultType]::ParameterName, 'A file with the host''s key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]')
            [CompletionResult]::new('--passphrase-file', '--passphrase-file', [CompletionResultType]::ParameterName, 'A file with the passphrase of an ncryptsec')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'nest;key;list' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'nest;key;default' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'nest;key;remove' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Ask nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'nest;mock' {
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'A loopback address; port 0 takes a free one')
            [CompletionResult]::new('--fault', '--fault', [CompletionResultType]::ParameterName, 'Let something go wrong; may be given several times')
            [CompletionResult]::new('--livekit', '--livekit', [CompletionResultType]::ParameterName, 'Use a real LiveKit server instead of the embedded one')
            [CompletionResult]::new('--livekit-key', '--livekit-key', [CompletionResultType]::ParameterName, 'Its API key')
            [CompletionResult]::new('--livekit-secret-file', '--livekit-secret-file', [CompletionResultType]::ParameterName, 'A file with its API secret')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'nest;serve' {
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Where to listen [default: 127.0.0.1:5544]')
            [CompletionResult]::new('--redis', '--redis', [CompletionResultType]::ParameterName, 'Where the records are: redis://host:port/db or unix:///path')
            [CompletionResult]::new('--redis-password-file', '--redis-password-file', [CompletionResultType]::ParameterName, 'A file with the password of Redis')
            [CompletionResult]::new('--livekit', '--livekit', [CompletionResultType]::ParameterName, 'Where this server finds LiveKit: ws://host:7880')
            [CompletionResult]::new('--livekit-key', '--livekit-key', [CompletionResultType]::ParameterName, 'LiveKit''s API key')
            [CompletionResult]::new('--livekit-secret-file', '--livekit-secret-file', [CompletionResultType]::ParameterName, 'A file with LiveKit''s API secret')
            [CompletionResult]::new('--public-url', '--public-url', [CompletionResultType]::ParameterName, 'Where clients find this API, which is what they sign: https://host')
            [CompletionResult]::new('--public-livekit-url', '--public-livekit-url', [CompletionResultType]::ParameterName, 'Where clients find LiveKit: wss://host')
            [CompletionResult]::new('--record-ttl', '--record-ttl', [CompletionResultType]::ParameterName, 'How long a record lives after its last use [default: 24h]')
            [CompletionResult]::new('--trusted-proxy', '--trusted-proxy', [CompletionResultType]::ParameterName, 'Believe the X-Forwarded-For of this address or network; may be given several times')
            [CompletionResult]::new('--rate-limit', '--rate-limit', [CompletionResultType]::ParameterName, 'Requests of one address in a minute; 0: any number [default: 600]')
            [CompletionResult]::new('--key-rate-limit', '--key-rate-limit', [CompletionResultType]::ParameterName, 'Signed requests of one key in a minute; 0: any number [default: 120]')
            [CompletionResult]::new('--max-connections', '--max-connections', [CompletionResultType]::ParameterName, 'Connections at the same time [default: 1024]')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'One line on stderr for each request, like this [default: text]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--allow-internal-endpoint', '--allow-internal-endpoint', [CompletionResultType]::ParameterName, 'Accept a LiveKit URL that works inside a network only')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'nest;completions' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'nest;man' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'What stdout carries')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colours [NO_COLOR is honoured]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file [env: NEST_CONFIG]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'A section of the configuration file [env: NEST_PROFILE]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Short for --output json')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing but errors and warnings (a format that was asked for is still printed)')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: still more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
