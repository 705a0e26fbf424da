# Completion of fdstorefs for fish.  fdstorefs completion fish > ~/.config/fish/completions/fdstorefs.fish

function __fdstorefs_entries
    set -l at
    set -l words (commandline -opc)
    if set -l place (contains -i -- --at $words)
        set at --at $words[(math $place + 1)]
    end
    fdstorefs ls --names $at '**' 2>/dev/null
end

# Whether the verb, or the first word of it, is one of these.
function __fdstorefs_in
    set -l words (__fdstorefs_words)
    contains -- "$words[1]" $argv
end

function __fdstorefs_words
    set -l words (commandline -opc)[2..]
    set -l at (contains -i -- --at $words); and set -e words[$at..(math $at + 1)]
    string match -v -- '-*' $words
end

# Whether the command line says the first word, then one of the others.
function __fdstorefs_at
    set -l words (__fdstorefs_words)
    test "$words[1]" = "$argv[1]"; and contains -- "$words[2]" $argv[2..]
end

# Whether it says this word and not yet the next.
function __fdstorefs_after
    set -l words (__fdstorefs_words)
    test "$words[1]" = "$argv[1]"; and test (count $words) -eq 1
end

set -l instance serve mount umount run
set -l entries put exec ls stat rm mv ln seal unseal watch dump
set -l moving restore transfer
set -l families policy audit host
set -l about upgrade enforce instances status doctor completion
set -l all $instance $entries $moving $families $about

complete -c fdstorefs -f
complete -c fdstorefs -l help -d 'show help'
complete -c fdstorefs -n "not __fdstorefs_in $all" -l version -d 'show the version'
complete -c fdstorefs -n "not __fdstorefs_in $instance transfer policy host enforce instances completion" -l at -r -a '(__fish_complete_directories)' -d 'the instance mounted there'

complete -c fdstorefs -n "not __fdstorefs_in $all" -a serve -d 'run an instance in the foreground'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a mount -d 'start an instance in the background'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a umount -d 'end an instance'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a upgrade -d 'have the program that is installed now take over'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a run -d 'run a command with an instance of its own'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a put -d 'stash a descriptor or a new socket'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a exec -d 'run a command with retrieved descriptors'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a ls -d 'list entries'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a stat -d 'tell all about one entry'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a rm -d 'discard entries'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a mv -d 'rename an entry or a box'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a ln -d 'give an entry a second name'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a seal -d 'seal a box'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a unseal -d 'unseal a box'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a watch -d 'print changes as they happen'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a dump -d 'hand everything to a process that restores it'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a restore -d 'take what another process dumps'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a transfer -d 'copy or move everything to another instance'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a policy -d 'write policies and try them out'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a audit -d 'read the audit log'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a host -d 'instances for containers'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a enforce -d 'have the kernel enforce policies'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a instances -d 'list all instances'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a status -d 'say what is in force'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a doctor -d 'say what this machine can do'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a completion -d 'print a completion script'

complete -c fdstorefs -n "__fdstorefs_in $entries" -a '(__fdstorefs_entries)'
complete -c fdstorefs -n '__fdstorefs_in serve mount umount transfer' -a '(__fish_complete_directories)'
complete -c fdstorefs -n '__fdstorefs_in completion' -a 'bash zsh fish'

complete -c fdstorefs -n '__fdstorefs_in serve' -l systemd-store -x -a 'auto no' -d 'have systemd keep a copy of what is stashed'
complete -c fdstorefs -n '__fdstorefs_in serve enforce' -l ready-fd -x -d 'write ready to descriptor N'
complete -c fdstorefs -n '__fdstorefs_in serve mount run' -l mode -x -d 'permission bits of the root'
complete -c fdstorefs -n '__fdstorefs_in serve mount run' -l entries -x -d 'hold no more than N entries'
complete -c fdstorefs -n '__fdstorefs_in serve mount run' -l entries-per-uid -x -d 'and no more than N of one user'
complete -c fdstorefs -n '__fdstorefs_in serve mount run' -l entries-per-box -x -d 'and no more than N in any one box'
complete -c fdstorefs -n '__fdstorefs_in serve mount run' -l no-keeper -d 'start no process that keeps a copy of everything'
complete -c fdstorefs -n '__fdstorefs_in serve mount run enforce' -l policy -r -F -d 'put this policy in force'
complete -c fdstorefs -n '__fdstorefs_in serve mount run enforce' -l audit -x -a 'file: stderr journald syslog none' -d 'keep an audit log'
complete -c fdstorefs -n '__fdstorefs_in serve mount run enforce' -l audit-fsync -x -a 'never interval:1 always' -d 'when its file is told to disk'
complete -c fdstorefs -n '__fdstorefs_in serve mount run' -l enforcement -x -a 'auto kernel daemon' -d 'who enforces policies'
complete -c fdstorefs -n '__fdstorefs_in serve mount run doctor' -l enforcer -r -F -d 'the enforcer that listens there'
complete -c fdstorefs -n '__fdstorefs_in enforce' -l lockdown -d 'let not even root look into servers'
complete -c fdstorefs -n '__fdstorefs_in enforce' -l socket -r -F -d 'listen there'
complete -c fdstorefs -n '__fdstorefs_in enforce doctor' -l pins -x -a '(__fish_complete_directories)' -d 'what is in force is pinned there'
complete -c fdstorefs -n '__fdstorefs_in enforce' -l off -d 'end what is in force'
complete -c fdstorefs -n '__fdstorefs_in mount' -l log -r -F -d 'append to FILE'
complete -c fdstorefs -n '__fdstorefs_in umount' -l lazy -d 'end it when nobody uses it any more'
complete -c fdstorefs -n '__fdstorefs_in run' -l map-root -d 'be root in the namespace'
complete -c fdstorefs -n '__fdstorefs_in put' -l listen -x -a 'tcp: udp: unix:' -d 'stash a socket made for it'
complete -c fdstorefs -n '__fdstorefs_in put mv restore transfer' -l replace -d 'replace what is there'
complete -c fdstorefs -n '__fdstorefs_in dump' -l to -r -F -d 'connect to who listens there'
complete -c fdstorefs -n '__fdstorefs_in restore' -l from -r -F -d 'connect to who listens there'
complete -c fdstorefs -n '__fdstorefs_in dump restore' -l listen -r -F -d 'wait there for one to connect'
complete -c fdstorefs -n '__fdstorefs_in dump restore' -l fd -x -d 'an inherited socket'
complete -c fdstorefs -n '__fdstorefs_in dump restore' -l peer -x -a '(__fish_complete_users)' -d 'deal with that user, too'
complete -c fdstorefs -n '__fdstorefs_in dump transfer' -l leave-out -d 'leave out what is not to be had'
complete -c fdstorefs -n '__fdstorefs_in restore transfer' -l into -x -a '(__fdstorefs_entries)' -d 'put it into that box'
complete -c fdstorefs -n '__fdstorefs_in transfer' -l move -d 'then discard it in FROM'
complete -c fdstorefs -n '__fdstorefs_in put' -l label -x -d 'a word to know it by'
complete -c fdstorefs -n '__fdstorefs_in put' -l expires -x -d 'discard it after so long, such as 90s'
complete -c fdstorefs -n '__fdstorefs_in put' -l no-poll -d 'keep it when the other side hangs up'
complete -c fdstorefs -n '__fdstorefs_in put' -l mode -x -d 'permission bits'
complete -c fdstorefs -n '__fdstorefs_in exec' -l stdin -x -a '(__fdstorefs_entries)' -d 'becomes descriptor 0'
complete -c fdstorefs -n '__fdstorefs_in exec' -l fd -x -d 'becomes descriptor N'
complete -c fdstorefs -n '__fdstorefs_in exec' -l take -d 'take the entries out of the store'
complete -c fdstorefs -n '__fdstorefs_in ls' -s l -l long -d 'with owner, kind and what it is'
complete -c fdstorefs -n '__fdstorefs_in ls' -l names -d 'names as they are'
complete -c fdstorefs -n '__fdstorefs_in ls stat watch dump restore transfer status upgrade doctor' -l json -d 'as JSON'

complete -c fdstorefs -n '__fdstorefs_after policy' -a check -d 'find what is wrong in policies'
complete -c fdstorefs -n '__fdstorefs_after policy' -a explain -d 'say whether a request is allowed, and why'
complete -c fdstorefs -n '__fdstorefs_after policy' -a test -d 'decide the cases that belong to policies'
complete -c fdstorefs -n '__fdstorefs_after policy' -a diff -d 'say what a change allows and denies'
complete -c fdstorefs -n '__fdstorefs_after policy' -a compile -d 'turn policies into tables'
complete -c fdstorefs -n '__fdstorefs_after policy' -a schema -d 'print the JSON Schema'
complete -c fdstorefs -n '__fdstorefs_after policy' -a status -d 'say which policies are in force'
complete -c fdstorefs -n '__fdstorefs_after policy' -a load -d 'have the kernel enforce other policies'
complete -c fdstorefs -n '__fdstorefs_after policy' -a mode -d 'have a policy refuse, or only log'
complete -c fdstorefs -n '__fdstorefs_after audit' -a tail -d 'print the last records, and new ones'
complete -c fdstorefs -n '__fdstorefs_after audit' -a query -d 'find records'
complete -c fdstorefs -n '__fdstorefs_after audit' -a stats -d 'count records'
complete -c fdstorefs -n '__fdstorefs_after audit' -a verify -d 'look for what is missing or damaged'
complete -c fdstorefs -n '__fdstorefs_after audit' -a replay -d 'decide again with other policies'

set -l actions stash retrieve take discard list describe rename link seal serve
set -l kinds socket pipe memfd regular directory device eventfd pidfd namespace epoll timerfd signalfd inotify \
    fanotify userfaultfd io_uring bpf perf_event seccomp_notify symlink other empty box

complete -c fdstorefs -n '__fdstorefs_at policy check explain test diff compile load' -F
complete -c fdstorefs -n '__fdstorefs_at policy check explain test diff compile status load mode' -l json -d 'as JSON'
complete -c fdstorefs -n '__fdstorefs_at policy status' -l at -r -a '(__fish_complete_directories)' -d 'the instance mounted there'
complete -c fdstorefs -n '__fdstorefs_at policy status' -l host -d 'ask the enforcer'
complete -c fdstorefs -n '__fdstorefs_at policy status load mode' -l enforcer -r -F -d 'the enforcer that listens there'
complete -c fdstorefs -n '__fdstorefs_at policy mode' -a 'enforce monitor'
complete -c fdstorefs -n '__fdstorefs_at policy check' -l strict -d 'warnings fail'
complete -c fdstorefs -n '__fdstorefs_at policy test' -s v -l verbose -d 'a line for each case'
complete -c fdstorefs -n '__fdstorefs_at policy diff' -l exit-code -d 'end with 1 if there are differences'
complete -c fdstorefs -n '__fdstorefs_at policy compile' -s o -l output -r -F -d 'write to FILE'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l action -x -a "$actions" -d 'what is asked for'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l entry -x -a '(__fdstorefs_entries)' -d 'the entry'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l also -x -a '(__fdstorefs_entries)' -d 'another name of the same open file'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l kind -x -a "$kinds" -d 'what it is'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l filesystem -x -d 'where its file is'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l access -x -a 'r w rw path' -d 'how it is open'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l label -x -d 'its label'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l guarded -x -a 'yes no' -d 'whether the kernel guards it'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l uid -x -a '(__fish_complete_users)' -d 'of the subject'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l gid -x -a '(__fish_complete_groups)' -d 'of the subject'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l cgroup -x -d 'of the subject'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l cap -x -d 'of the subject'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l userns -x -a 'same below other' -d 'of the subject'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l stasher-uid -x -a '(__fish_complete_users)' -d 'of the stasher'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l stasher-cap -x -d 'of the stasher'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l stasher-userns -x -a 'same below other' -d 'of the stasher'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l opener-uid -x -a '(__fish_complete_users)' -d 'of the opener'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l opener-cap -x -d 'of the opener'
complete -c fdstorefs -n '__fdstorefs_at policy explain' -l opener-userns -x -a 'same below other' -d 'of the opener'

set -l filtered tail query stats replay
complete -c fdstorefs -n "__fdstorefs_at audit verify $filtered" -F
complete -c fdstorefs -n "__fdstorefs_at audit verify $filtered" -l json -d 'as JSON'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l since -x -a '10m 1h today yesterday' -d 'not before'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l until -x -a '10m 1h today yesterday' -d 'before'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l subject -x -a 'uid: pid: comm: exe: cgroup:' -d 'who asked'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l entry -x -a '(__fdstorefs_entries)' -d 'what for'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l verdict -x -a 'allow deny' -d 'what was in force'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l decided -x -a 'allow deny' -d 'what all rules decided'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l source -x -a 'daemon kernel' -d 'who decided'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l action -x -a "$actions connect reach-into use-bpf" -d 'what was asked'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l rule -x -d 'which rule decided'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l instance -x -a '(__fish_complete_directories)' -d 'where'
complete -c fdstorefs -n "__fdstorefs_at audit $filtered" -l reason -x -d 'why'
complete -c fdstorefs -n '__fdstorefs_at audit tail' -s f -l follow -d 'go on with new records'
complete -c fdstorefs -n '__fdstorefs_at audit tail' -s n -l lines -x -d 'begin with the last N'
complete -c fdstorefs -n '__fdstorefs_at audit replay' -l policy -r -F -d 'decide with this'

complete -c fdstorefs -n '__fdstorefs_after host' -a serve -d 'start instances for containers on demand'
complete -c fdstorefs -n '__fdstorefs_after host' -a start -d 'have an instance started for a container'
complete -c fdstorefs -n '__fdstorefs_after host' -a stop -d 'end the instance of a container'
complete -c fdstorefs -n '__fdstorefs_after host' -a list -d 'list the instances of containers'
complete -c fdstorefs -n '__fdstorefs_after host' -a hook -d 'be the hook of a container runtime'
complete -c fdstorefs -n '__fdstorefs_in host' -l socket -r -F -d 'the service that listens there'
complete -c fdstorefs -n '__fdstorefs_at host start stop' -l pid -x -a '(__fish_complete_pids)' -d 'a process of the container'
complete -c fdstorefs -n '__fdstorefs_at host start list' -l json -d 'as JSON'
complete -c fdstorefs -n '__fdstorefs_at host hook' -l always -d 'also without the annotation'
complete -c fdstorefs -n '__fdstorefs_at host serve start' -l entries -x -d 'hold no more than N entries'
complete -c fdstorefs -n '__fdstorefs_at host serve start' -l entries-per-uid -x -d 'and no more than N of one user'
complete -c fdstorefs -n '__fdstorefs_at host serve' -l mode -x -d 'permission bits of each root'
complete -c fdstorefs -n '__fdstorefs_at host serve' -l policy -r -F -d 'put this policy in force'
complete -c fdstorefs -n '__fdstorefs_at host serve' -l audit -x -a 'stderr journald syslog none' -d 'keep an audit log'
complete -c fdstorefs -n '__fdstorefs_at host serve' -l audit-fsync -x -a 'never interval:1 always' -d 'when its file is told to disk'
complete -c fdstorefs -n '__fdstorefs_at host serve' -l enforcement -x -a 'auto daemon' -d 'who enforces policies'
complete -c fdstorefs -n '__fdstorefs_at host serve' -l enforcer -r -F -d 'the enforcer that listens there'
complete -c fdstorefs -n '__fdstorefs_at host serve' -l ready-fd -x -d 'write ready to descriptor N'
