# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_nest_global_optspecs
    string join \n output= json q/quiet v/verbose color= config= profile= h/help V/version
end

function __fish_nest_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_nest_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_nest_using_subcommand
    set -l cmd (__fish_nest_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c nest -n "__fish_nest_needs_command" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_needs_command" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_needs_command" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_needs_command" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_needs_command" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_needs_command" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_needs_command" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_needs_command" -s V -l version -d 'Print version'
complete -c nest -n "__fish_nest_needs_command" -f -a "restart" -d 'Bring nests back: sign, restart, print the new token and endpoints'
complete -c nest -n "__fish_nest_needs_command" -f -a "key" -d 'Keep host keys in the OS keyring'
complete -c nest -n "__fish_nest_needs_command" -f -a "mock" -d 'Start the bundled server on loopback: Nests API, LiveKit signal, relay'
complete -c nest -n "__fish_nest_needs_command" -f -a "serve" -d 'Serve the Nests API for real, on Redis and LiveKit'
complete -c nest -n "__fish_nest_needs_command" -f -a "completions" -d 'Print a script that teaches your shell the commands and options'
complete -c nest -n "__fish_nest_needs_command" -f -a "man" -d 'Print a man page'
complete -c nest -n "__fish_nest_using_subcommand restart" -l hold -d 'With --check: stay inside this long, and tell if anything closes the room (at most 55s)' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -s j -l jobs -d 'Rooms in work at the same time' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests [env: NEST_API]' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand restart" -l relay -d 'A relay to look for the nest\'s event on; may be given several times [env: NEST_RELAYS]' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l retries -d 'Attempts after the first, for failures that are safe to repeat' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l max-wait -d 'The longest pause that a server may ask for' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l key-file -d 'A file with the host\'s key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand restart" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand restart" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand restart" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand restart" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand restart" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l check -d 'Prove that the new session can be joined (as a listener)'
complete -c nest -n "__fish_nest_using_subcommand restart" -l as-host -d 'With --check: join with the host\'s token; ejects a host who is connected elsewhere'
complete -c nest -n "__fish_nest_using_subcommand restart" -l if-inactive -d 'Do nothing for a nest that runs'
complete -c nest -n "__fish_nest_using_subcommand restart" -l no-wait -d 'End at once if another restart of the room is running on this machine'
complete -c nest -n "__fish_nest_using_subcommand restart" -s y -l yes -d 'Ask nothing'
complete -c nest -n "__fish_nest_using_subcommand restart" -l dry-run -d 'Send nothing; show what would be sent, the signature masked'
complete -c nest -n "__fish_nest_using_subcommand restart" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand restart" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand restart" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand restart" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand restart" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -f -a "import" -d 'Put a key into the OS keyring: from a hidden prompt, a file or stdin'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -f -a "show" -d 'Show the public part of the key that would be used'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -f -a "list" -d 'Show the keys in the keyring'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -f -a "default" -d 'Say which key is used when several would do'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import show list default remove" -f -a "remove" -d 'Take a key out of the keyring'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l key-file -d 'A file with the host\'s key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l key-file -d 'A file with the host\'s key (nsec, hex or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Ask nothing'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand mock" -l listen -d 'A loopback address; port 0 takes a free one' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l fault -d 'Let something go wrong; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l livekit -d 'Use a real LiveKit server instead of the embedded one' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l livekit-key -d 'Its API key' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l livekit-secret-file -d 'A file with its API secret' -r -F
complete -c nest -n "__fish_nest_using_subcommand mock" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand mock" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand mock" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand mock" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand mock" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand mock" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand mock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand serve" -l listen -d 'Where to listen [default: 127.0.0.1:5544]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l redis -d 'Where the records are: redis://host:port/db or unix:///path' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l redis-password-file -d 'A file with the password of Redis' -r -F
complete -c nest -n "__fish_nest_using_subcommand serve" -l livekit -d 'Where this server finds LiveKit: ws://host:7880' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l livekit-key -d 'LiveKit\'s API key' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l livekit-secret-file -d 'A file with LiveKit\'s API secret' -r -F
complete -c nest -n "__fish_nest_using_subcommand serve" -l public-url -d 'Where clients find this API, which is what they sign: https://host' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l public-livekit-url -d 'Where clients find LiveKit: wss://host' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l record-ttl -d 'How long a record lives after its last use [default: 24h]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l trusted-proxy -d 'Believe the X-Forwarded-For of this address or network; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l rate-limit -d 'Requests of one address in a minute; 0: any number [default: 600]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l key-rate-limit -d 'Signed requests of one key in a minute; 0: any number [default: 120]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l max-connections -d 'Connections at the same time [default: 1024]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l log-format -d 'One line on stderr for each request, like this [default: text]' -r -f -a "text\t'For people'
json\t'For machines'"
complete -c nest -n "__fish_nest_using_subcommand serve" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand serve" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand serve" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand serve" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l allow-internal-endpoint -d 'Accept a LiveKit URL that works inside a network only'
complete -c nest -n "__fish_nest_using_subcommand serve" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand serve" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand serve" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand completions" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand completions" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand completions" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand completions" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand completions" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand completions" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand completions" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand man" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand man" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand man" -l config -d 'The configuration file [env: NEST_CONFIG]' -r -F
complete -c nest -n "__fish_nest_using_subcommand man" -l profile -d 'A section of the configuration file [env: NEST_PROFILE]' -r
complete -c nest -n "__fish_nest_using_subcommand man" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand man" -s q -l quiet -d 'Print nothing but errors and warnings (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand man" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
