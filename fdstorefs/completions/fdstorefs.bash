# Completion of fdstorefs for bash.  In ~/.bashrc:  source <(fdstorefs completion bash)

_fdstorefs() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev='' verb='' i word
    local -a at=()
    COMPREPLY=()
    ((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD - 1]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            --at) at=(--at "${COMP_WORDS[i + 1]}"); ((i++)) ;;
            --) [[ $verb == exec || $verb == run ]] && { _fdstorefs_command "$i"; return; } ;;
            -*) ;;
            *)
                case $verb in
                    '') verb=$word ;;
                    policy | audit | host) verb+=" $word" ;;
                esac
                ;;
        esac
    done

    case $prev in
        --at | --log | --output | --policy | --enforcer | --socket | --pins) _fdstorefs_files; return ;;
        --action)
            _fdstorefs_words stash retrieve take discard list describe rename link seal serve \
                $([[ $verb == audit* ]] && echo connect reach-into use-bpf)
            return ;;
        --verdict | --decided) _fdstorefs_words allow deny; return ;;
        --source) _fdstorefs_words daemon kernel; return ;;
        --enforcement) _fdstorefs_words auto kernel daemon; return ;;
        --access) _fdstorefs_words r w rw path; return ;;
        --guarded) _fdstorefs_words yes no; return ;;
        --kind) _fdstorefs_words socket pipe memfd regular directory device eventfd pidfd namespace epoll timerfd \
            signalfd inotify fanotify userfaultfd io_uring bpf perf_event seccomp_notify symlink other empty box
            return ;;
        --userns | --stasher-userns | --opener-userns) _fdstorefs_words same below other; return ;;
        --subject) _fdstorefs_words uid: pid: comm: exe: cgroup:; compopt -o nospace; return ;;
        --since | --until) _fdstorefs_words 10m 1h today yesterday; return ;;
        --stdin) _fdstorefs_entries; return ;;
        --listen)
            [[ $verb == put ]] || { _fdstorefs_files; return; }
            _fdstorefs_words tcp: udp: unix:; compopt -o nospace; return ;;
        --to | --from) _fdstorefs_files; return ;;
        --peer) COMPREPLY=($(compgen -u -- "$cur")); return ;;
        --into) [[ $verb == transfer ]] || _fdstorefs_entries; return ;;
        --audit) _fdstorefs_words file: stderr journald syslog none; compopt -o nospace; return ;;
        --audit-fsync) _fdstorefs_words never interval: always; return ;;
        --mode | --entries | --entries-per-uid | --entries-per-box | --label | --expires | --pid | --ready-fd | --fd) return ;;
        --entry | --also | --filesystem | --uid | --gid | --cgroup | --cap) return ;;
        --stasher-uid | --stasher-cap | --opener-uid | --opener-cap) return ;;
        --rule | --instance | --reason | --lines | -n) return ;;
    esac

    if [[ -z $verb ]]; then
        _fdstorefs_words serve mount umount upgrade run put exec ls stat rm mv ln seal unseal watch dump restore transfer policy audit host \
            enforce instances status doctor completion --at --help --version
    elif [[ $verb == policy ]]; then
        _fdstorefs_words check explain test diff compile schema status load mode --help
    elif [[ $verb == audit ]]; then
        _fdstorefs_words tail query stats verify replay --help
    elif [[ $verb == host ]]; then
        _fdstorefs_words serve start stop list hook --help
    elif [[ $cur == -* ]]; then
        _fdstorefs_words $(_fdstorefs_options "$verb") --help
    else
        case $verb in
            serve | mount | umount | transfer) _fdstorefs_files ;;
            put | exec | ls | stat | rm | mv | ln | seal | unseal | watch | dump) _fdstorefs_entries ;;
            completion) _fdstorefs_words bash zsh fish ;;
            host\ start | host\ stop) _fdstorefs_files ;;
            enforce | instances | host\ * | policy\ schema | policy\ status) ;;
            policy\ mode) _fdstorefs_words enforce monitor ;;
            policy\ * | audit\ *) _fdstorefs_files ;;
        esac
    fi
}

_fdstorefs_words() {
    COMPREPLY=($(compgen -W "$*" -- "$cur"))
}

_fdstorefs_options() {
    local serving='--mode --entries --entries-per-uid --entries-per-box --no-keeper --policy --audit --audit-fsync --enforcement --enforcer'
    local filters='--since --until --subject --entry --verdict --decided --source --action --rule --instance --reason'
    case $1 in
        serve) echo --ready-fd --systemd-store $serving ;;
        mount) echo --log $serving ;;
        umount) echo --lazy ;;
        run) echo --map-root $serving -- ;;
        put) echo --listen --replace --label --mode --expires --no-poll --at ;;
        exec) echo --stdin --fd --take --at -- ;;
        ls) echo --long --names --json --at ;;
        mv) echo --replace --at ;;
        dump) echo --to --listen --fd --peer --leave-out --json --at ;;
        restore) echo --from --listen --fd --peer --into --replace --json --at ;;
        transfer) echo --move --into --replace --leave-out --json ;;
        stat | watch | status | upgrade) echo --json --at ;;
        instances) echo --json ;;
        doctor) echo --json --at --enforcer --pins ;;
        enforce) echo --policy --audit --audit-fsync --lockdown --socket --pins --ready-fd --off ;;
        host\ serve) echo --socket --mode --entries --entries-per-uid --policy --audit --audit-fsync --enforcement \
            --enforcer --ready-fd ;;
        host\ start) echo --pid --entries --entries-per-uid --socket --json ;;
        host\ stop) echo --pid --socket ;;
        host\ list) echo --socket --json ;;
        host\ hook) echo --always --socket ;;
        rm | ln | seal | unseal) echo --at ;;
        policy\ check) echo --strict --json ;;
        policy\ explain) echo --action --entry --also --kind --filesystem --access --guarded --label --uid --gid \
            --cgroup --cap --userns --stasher-uid --stasher-cap --stasher-userns --opener-uid --opener-cap \
            --opener-userns --json ;;
        policy\ test) echo --verbose --json ;;
        policy\ diff) echo --exit-code --json ;;
        policy\ compile) echo --output --json ;;
        policy\ status) echo --host --json --at --enforcer ;;
        policy\ load | policy\ mode) echo --json --enforcer ;;
        audit\ tail) echo --follow --lines $filters --json --at ;;
        audit\ query | audit\ stats) echo $filters --json --at ;;
        audit\ verify) echo --json --at ;;
        audit\ replay) echo --policy $filters --json --at ;;
    esac
}

_fdstorefs_entries() {
    local name
    while IFS= read -r name; do
        [[ $name == "$cur"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done < <(fdstorefs ls --names "${at[@]}" '**' 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
}

_fdstorefs_files() {
    compopt -o filenames
    COMPREPLY=($(compgen -f -- "$cur"))
}

# What follows `--` is a command line of its own.
_fdstorefs_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset $(($1 + 1))
    elif ((COMP_CWORD == $1 + 1)); then
        COMPREPLY=($(compgen -c -- "$cur"))
    else
        _fdstorefs_files
    fi
}

complete -F _fdstorefs fdstorefs
