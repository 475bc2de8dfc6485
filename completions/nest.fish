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
complete -c nest -n "__fish_nest_needs_command" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_needs_command" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_needs_command" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_needs_command" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_needs_command" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_needs_command" -s V -l version -d 'Print version'
complete -c nest -n "__fish_nest_needs_command" -f -a "init" -d 'Begin: your server, your key, a short name for your nest, and a timer that looks after it'
complete -c nest -n "__fish_nest_needs_command" -f -a "restart" -d 'Bring nests back, and say whether people can join'
complete -c nest -n "__fish_nest_needs_command" -f -a "status" -d 'See at a glance whether nests run; nobody joins'
complete -c nest -n "__fish_nest_needs_command" -f -a "check" -d 'Prove that a nest can be joined, as a listener would'
complete -c nest -n "__fish_nest_needs_command" -f -a "doctor" -d 'Look at every link between you and a nest, and say what to do next'
complete -c nest -n "__fish_nest_needs_command" -f -a "token" -d 'Get a fresh token without a restart'
complete -c nest -n "__fish_nest_needs_command" -f -a "list" -d 'Show the nests of a host: what Nostr, the API and LiveKit say of each'
complete -c nest -n "__fish_nest_needs_command" -f -a "recreate" -d 'Open a new nest in the place of one that its server has lost'
complete -c nest -n "__fish_nest_needs_command" -f -a "close" -d 'End a nest: in the API, and in its event'
complete -c nest -n "__fish_nest_needs_command" -f -a "open" -d 'Open the page of a nest in the browser'
complete -c nest -n "__fish_nest_needs_command" -f -a "auth" -d 'Sign a request for another program: the value of its Authorization header (NIP-98)'
complete -c nest -n "__fish_nest_needs_command" -f -a "key" -d 'Keep host keys: in the OS keyring, in a file, or in a remote signer'
complete -c nest -n "__fish_nest_needs_command" -f -a "mock" -d 'Start the bundled server on loopback: Nests API, LiveKit signal, relay'
complete -c nest -n "__fish_nest_needs_command" -f -a "serve" -d 'Serve the Nests API for real, on Redis and LiveKit'
complete -c nest -n "__fish_nest_needs_command" -f -a "completions" -d 'Print a script that teaches your shell the commands and options'
complete -c nest -n "__fish_nest_needs_command" -f -a "help" -d 'Print the help of a command'
complete -c nest -n "__fish_nest_needs_command" -f -a "man" -d 'Print a man page'
complete -c nest -n "__fish_nest_using_subcommand init" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand init" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand init" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand init" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand init" -l alias -d 'The short name by which the configuration is to know the nest: @NAME' -r
complete -c nest -n "__fish_nest_using_subcommand init" -l to-file -d 'Keep a key that is typed, or comes from stdin or NEST_KEY, in this new file (mode 0600) instead of the OS keyring [default: host.key beside the configuration]' -r -F
complete -c nest -n "__fish_nest_using_subcommand init" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand init" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand init" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand init" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand init" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand init" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand init" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand init" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand init" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand init" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand init" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand init" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand init" -l timer -d 'Write units for systemd that look after the nest, and start their timer'
complete -c nest -n "__fish_nest_using_subcommand init" -l no-timer -d 'Offer no timer'
complete -c nest -n "__fish_nest_using_subcommand init" -l no-key -d 'Do without a key'
complete -c nest -n "__fish_nest_using_subcommand init" -s y -l yes -d 'Replace what the configuration and units say otherwise; leave out the offers'
complete -c nest -n "__fish_nest_using_subcommand init" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand restart" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand restart" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand restart" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand restart" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l hold -d 'With --check: stay inside this long, and tell if anything closes the room (at most 55s without audio)' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l keep -d 'Check, and stay inside as a silent listener until somebody comes, TIME is over, or Ctrl-C; renew the nest if nobody came' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l transport -d 'With --check: the one way that audio is to take' -r -f -a "udp\t'Straight to the media server'
tcp\t'ICE over TCP'
relay\t'Through the TURN server that the media server names'"
complete -c nest -n "__fish_nest_using_subcommand restart" -l relay-url -d 'Move a nest on Media over QUIC to this relay, or one from LiveKit to there' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l auth-url -d 'The auth service of that relay [default: that of your list of servers, or derived from the relay\'s name]' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -s j -l jobs -d 'Rooms in work at the same time' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand restart" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l retries -d 'Attempts after the first, for failures that are safe to repeat' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l max-wait -d 'The longest pause that a server may ask for' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand restart" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand restart" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand restart" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand restart" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand restart" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand restart" -l all-inactive -d 'All nests of the host that are open by their event and have no audio room, and no others'
complete -c nest -n "__fish_nest_using_subcommand restart" -l check -d 'Prove that the new session can be joined (as a listener)'
complete -c nest -n "__fish_nest_using_subcommand restart" -l publish -d 'With --check --as-host: send a second of silence, and see that it arrives'
complete -c nest -n "__fish_nest_using_subcommand restart" -l as-host -d 'With --check: join with the host\'s token; ejects a host who is connected elsewhere'
complete -c nest -n "__fish_nest_using_subcommand restart" -l open -d 'Open the nest\'s page in the browser once it is back'
complete -c nest -n "__fish_nest_using_subcommand restart" -l qr -d 'Print the nest\'s link as a QR code too'
complete -c nest -n "__fish_nest_using_subcommand restart" -l if-inactive -d 'Do nothing for a nest that runs'
complete -c nest -n "__fish_nest_using_subcommand restart" -l evict -d 'If the old room still runs after the restart: remove everybody, wait until it has closed, and restart again; asks first'
complete -c nest -n "__fish_nest_using_subcommand restart" -l publish-status -d 'Put the event right if it says that the nest is over, or names other endpoints'
complete -c nest -n "__fish_nest_using_subcommand restart" -l no-wait -d 'End at once if another restart of the room is running on this machine'
complete -c nest -n "__fish_nest_using_subcommand restart" -l force -d 'Publish the event of a nest on Media over QUIC although its relay or its auth service does not answer'
complete -c nest -n "__fish_nest_using_subcommand restart" -s y -l yes -d 'Ask nothing'
complete -c nest -n "__fish_nest_using_subcommand restart" -l dry-run -d 'Send nothing; show what would be sent, the signature masked'
complete -c nest -n "__fish_nest_using_subcommand restart" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand restart" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand status" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand status" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand status" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand status" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand status" -l interval -d 'How often to ask the API meanwhile; never more than it allows' -r
complete -c nest -n "__fish_nest_using_subcommand status" -s j -l jobs -d 'Rooms in work at the same time' -r
complete -c nest -n "__fish_nest_using_subcommand status" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand status" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand status" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand status" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand status" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand status" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand status" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand status" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand status" -s f -l follow -d 'Stay, and tell whenever the event, who is present, or what the API says has changed; Ctrl-C ends it'
complete -c nest -n "__fish_nest_using_subcommand status" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand check" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand check" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand check" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand check" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l url -d 'A media server, instead of a nest' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l token-file -d 'A file with a token for it, or - for stdin' -r -F
complete -c nest -n "__fish_nest_using_subcommand check" -l hold -d 'Stay inside this long, and tell if anything closes the room (at most 55s without audio)' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l keep -d 'Stay inside as a silent listener until somebody comes, TIME is over, or Ctrl-C; then renew your own nest if nobody came' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l transport -d 'The one way that audio is to take' -r -f -a "udp\t'Straight to the media server'
tcp\t'ICE over TCP'
relay\t'Through the TURN server that the media server names'"
complete -c nest -n "__fish_nest_using_subcommand check" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand check" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand check" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand check" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand check" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand check" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand check" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand check" -l as-host -d 'Join with the host\'s own token; ejects a host who is connected elsewhere'
complete -c nest -n "__fish_nest_using_subcommand check" -l join -d 'Join even if nobody is inside: a minute after this check has left, the nest closes'
complete -c nest -n "__fish_nest_using_subcommand check" -l publish -d 'Send a second of silence, and see that it arrives; needs a token that may speak'
complete -c nest -n "__fish_nest_using_subcommand check" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand doctor" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand doctor" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand doctor" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand doctor" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand doctor" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand doctor" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand doctor" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand doctor" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand doctor" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand doctor" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand doctor" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand doctor" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand doctor" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand doctor" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand doctor" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand doctor" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand doctor" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand token" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand token" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand token" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand token" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand token" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand token" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand token" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand token" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand token" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand token" -l retries -d 'Attempts after the first, for failures that are safe to repeat' -r
complete -c nest -n "__fish_nest_using_subcommand token" -l max-wait -d 'The longest pause that a server may ask for' -r
complete -c nest -n "__fish_nest_using_subcommand token" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand token" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand token" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand token" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand token" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand token" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand token" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand token" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand list" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand list" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand list" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand list" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand list" -l host -d 'Whose nests: npub, nprofile, hex, or a NIP-05 address [default: those of the key]' -r
complete -c nest -n "__fish_nest_using_subcommand list" -l interval -d 'How often to ask the API meanwhile; never more than it allows' -r
complete -c nest -n "__fish_nest_using_subcommand list" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand list" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand list" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand list" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand list" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand list" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand list" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand list" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand list" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand list" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand list" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand list" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand list" -l inactive -d 'Only those that are open by their event and have no audio room'
complete -c nest -n "__fish_nest_using_subcommand list" -l aliases -d 'Print the aliases of the configuration instead; nobody is asked'
complete -c nest -n "__fish_nest_using_subcommand list" -s f -l follow -d 'Stay, and tell whenever the event, who is present, or what the API says has changed; Ctrl-C ends it'
complete -c nest -n "__fish_nest_using_subcommand list" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand recreate" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand recreate" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand recreate" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand recreate" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand recreate" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand recreate" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand recreate" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand recreate" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand recreate" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand recreate" -l retries -d 'Attempts after the first, for failures that are safe to repeat' -r
complete -c nest -n "__fish_nest_using_subcommand recreate" -l max-wait -d 'The longest pause that a server may ask for' -r
complete -c nest -n "__fish_nest_using_subcommand recreate" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand recreate" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand recreate" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand recreate" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand recreate" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand recreate" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand recreate" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand recreate" -s y -l yes -d 'Ask nothing'
complete -c nest -n "__fish_nest_using_subcommand recreate" -l dry-run -d 'Create and publish nothing; show the request and both events'
complete -c nest -n "__fish_nest_using_subcommand recreate" -l qr -d 'Print the new link as a QR code too'
complete -c nest -n "__fish_nest_using_subcommand recreate" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand recreate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand close" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand close" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand close" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand close" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand close" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand close" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand close" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand close" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand close" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand close" -l retries -d 'Attempts after the first, for failures that are safe to repeat' -r
complete -c nest -n "__fish_nest_using_subcommand close" -l max-wait -d 'The longest pause that a server may ask for' -r
complete -c nest -n "__fish_nest_using_subcommand close" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand close" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand close" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand close" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand close" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand close" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand close" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand close" -s y -l yes -d 'Ask nothing'
complete -c nest -n "__fish_nest_using_subcommand close" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand close" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand open" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand open" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand open" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand open" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand open" -l api -d 'The Nests API: its origin, or the full …/api/v1/nests' -r
complete -c nest -n "__fish_nest_using_subcommand open" -l cacert -d 'Trust the certificates in this PEM file too, for a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand open" -l relay -d 'A relay to look for the nest\'s event on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand open" -l relay-timeout -d 'Limit of what is asked of relays' -r
complete -c nest -n "__fish_nest_using_subcommand open" -l timeout -d 'Limit of one attempt: 500ms, 2s, 5m' -r
complete -c nest -n "__fish_nest_using_subcommand open" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand open" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand open" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand open" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand open" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand open" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand open" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand open" -l qr -d 'Print the link as a QR code, and open no browser'
complete -c nest -n "__fish_nest_using_subcommand open" -l allow-http -d 'Accept plain http to other machines'
complete -c nest -n "__fish_nest_using_subcommand open" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand auth" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand auth" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand auth" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand auth" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand auth" -l body -d 'The body of the request, to be signed too; - is stdin' -r -F
complete -c nest -n "__fish_nest_using_subcommand auth" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand auth" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand auth" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand auth" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand auth" -l cacert -d 'Trust the certificates in this PEM file too, for relays with a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand auth" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand auth" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand auth" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand auth" -l allow-http -d 'Accept relays of a remote signer that are not encrypted (ws://) on other machines'
complete -c nest -n "__fish_nest_using_subcommand auth" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -f -a "import" -d 'Put a key into the OS keyring, or into a file of yours alone: from a hidden prompt, a file or stdin'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -f -a "connect" -d 'Pair with a remote signer (NIP-46), in which the key stays: an app on your phone, nsec.app, a bunker of your own'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -f -a "generate" -d 'Make a new key, and keep it in the OS keyring, or in a file'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -f -a "export" -d 'Print a secret key of the keyring, encrypted: a copy for safe keeping, or for another machine'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -f -a "encrypt" -d 'Print a key encrypted (ncryptsec): typed, or from --key-file or NEST_KEY_FILE'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -f -a "show" -d 'Show the public part of the key that would be used, where it is, and whether its signer answers'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -f -a "list" -d 'Show the keys in the keyring, and the signers that were paired with'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -f -a "default" -d 'Say which key is used when several would do'
complete -c nest -n "__fish_nest_using_subcommand key; and not __fish_seen_subcommand_from import connect generate export encrypt show list default remove" -f -a "remove" -d 'Take a key out of the keyring, or forget a signer'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l to-file -d 'Keep it in this new file (mode 0600) instead, and have the configuration name it [default: host.key beside the configuration]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l name -d 'The name that it is to have here' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l signer-timeout -d 'Limit of one answer of the signer' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l relay -d 'With --qr: a relay to meet the signer on; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l cacert -d 'Trust the certificates in this PEM file too, for relays with a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l qr -d 'Show a QR code (nostrconnect://) for the signer to scan'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l to-file -d 'Keep what it knows this machine by in a file (mode 0600), although there is a keyring: for a timer'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l open -d 'Open the page on which a signer wants to be allowed'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l allow-http -d 'Accept relays of a remote signer that are not encrypted (ws://) on other machines'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -l to-file -d 'Write it to this new file (mode 0600) instead' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -l passphrase-file -d 'With --to-file: a file with the passphrase that is to encrypt it, or - for stdin' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from generate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -l passphrase-file -d 'A file with the passphrase that is to encrypt it, or - for stdin' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -l plain -d 'As nsec, not encrypted'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -s y -l yes -d 'Ask nothing'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from encrypt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l key-file -d 'A file with the host\'s key (nsec, hex, words or ncryptsec), or - for stdin [env: NEST_KEY_FILE]' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l passphrase-file -d 'A file with the passphrase of an ncryptsec' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l bunker -d 'The remote signer that signs, by its name; `nest key connect` pairs with one [env: NEST_BUNKER, a whole bunker:// URI]' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l signer-timeout -d 'Limit of one answer of a remote signer; servers accept a signature for a minute [default: 45s]' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l cacert -d 'Trust the certificates in this PEM file too, for relays with a private CA' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l allow-http -d 'Accept relays of a remote signer that are not encrypted (ws://) on other machines'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Ask nothing'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand key; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand mock" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand mock" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand mock" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand mock" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l listen -d 'A loopback address; port 0 takes a free one' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l fault -d 'Let something go wrong; may be given several times' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l livekit -d 'Use a real LiveKit server instead of the embedded one' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l livekit-key -d 'Its API key' -r
complete -c nest -n "__fish_nest_using_subcommand mock" -l livekit-secret-file -d 'A file with its API secret' -r -F
complete -c nest -n "__fish_nest_using_subcommand mock" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand mock" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand mock" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand mock" -l open -d 'Open the page of the nest in the browser'
complete -c nest -n "__fish_nest_using_subcommand mock" -l no-page -d 'Serve no pages of nests (/n/ROOM)'
complete -c nest -n "__fish_nest_using_subcommand mock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand serve" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand serve" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand serve" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand serve" -l profile -d 'A section of the configuration file' -r
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
complete -c nest -n "__fish_nest_using_subcommand serve" -l cors-origin -d 'The origin of a web client that may call; may be given several times [default: any origin may]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l rate-limit -d 'Requests of one address in a minute; 0: any number [default: 600]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l key-rate-limit -d 'Signed requests of one key in a minute; 0: any number [default: 120]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l max-connections -d 'Connections at the same time [default: 1024]' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l web-client -d 'The web client to which the pages of nests lead: URL/naddr1… is where people join' -r
complete -c nest -n "__fish_nest_using_subcommand serve" -l log-format -d 'One line on stderr for each request, like this [default: text]' -r -f -a "text\t'For people'
json\t'For machines'"
complete -c nest -n "__fish_nest_using_subcommand serve" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand serve" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand serve" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand serve" -l allow-internal-endpoint -d 'Accept a LiveKit URL that works inside a network only'
complete -c nest -n "__fish_nest_using_subcommand serve" -l no-page -d 'Serve no pages of nests (/n/ROOM)'
complete -c nest -n "__fish_nest_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand completions" -l words -d 'What the scripts ask for when the Tab key is pressed: words that only this machine knows' -r -f -a "nests\t''
profiles\t''
faults\t''
keys\t''
signers\t''"
complete -c nest -n "__fish_nest_using_subcommand completions" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand completions" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand completions" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand completions" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand completions" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand completions" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand completions" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand help" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand help" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand help" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand help" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand help" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand help" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand help" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n "__fish_nest_using_subcommand man" -l output -d 'What stdout carries' -r -f -a "text\t'For people'
json\t'One document a room; JSON Lines for several'
token\t'The bare token, for scripts'"
complete -c nest -n "__fish_nest_using_subcommand man" -l color -d 'Colours [NO_COLOR is honoured]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nest -n "__fish_nest_using_subcommand man" -l config -d 'The configuration file' -r -F
complete -c nest -n "__fish_nest_using_subcommand man" -l profile -d 'A section of the configuration file' -r
complete -c nest -n "__fish_nest_using_subcommand man" -l json -d 'Short for --output json'
complete -c nest -n "__fish_nest_using_subcommand man" -s q -l quiet -d 'Print nothing but warnings, and errors in one line each (a format that was asked for is still printed)'
complete -c nest -n "__fish_nest_using_subcommand man" -s v -l verbose -d 'Say more; twice: still more'
complete -c nest -n "__fish_nest_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nest -n 'string match -q "@*" -- (commandline -ct)' -f -a '(nest completions --words nests 2>/dev/null)'
complete -c nest -l profile -x -a '(nest completions --words profiles 2>/dev/null)'
complete -c nest -l bunker -x -a '(nest completions --words signers 2>/dev/null)'
complete -c nest -n '__fish_nest_using_subcommand mock' -l fault -x -a '(nest completions --words faults 2>/dev/null)'
complete -c nest -n '__fish_nest_using_subcommand key; and __fish_seen_subcommand_from default remove' -f -a '(nest completions --words keys,signers 2>/dev/null)'
complete -c nest -n '__fish_nest_using_subcommand key; and __fish_seen_subcommand_from export' -f -a '(nest completions --words keys 2>/dev/null)'
