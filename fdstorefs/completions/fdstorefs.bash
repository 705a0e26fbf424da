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
            *) [[ -z $verb ]] && verb=$word ;;
        esac
    done

    case $prev in
        --at | --log) _fdstorefs_files; return ;;
        --stdin) _fdstorefs_entries; return ;;
        --listen) COMPREPLY=($(compgen -W 'tcp: udp: unix:' -- "$cur")); compopt -o nospace; return ;;
        --mode | --entries | --entries-per-uid | --label | --ready-fd | --fd) return ;;
    esac

    if [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W 'serve mount umount run put exec ls stat rm mv ln seal unseal watch status
            doctor completion --at --help --version' -- "$cur"))
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$(_fdstorefs_options "$verb") --help" -- "$cur"))
    else
        case $verb in
            serve | mount | umount) _fdstorefs_files ;;
            put | exec | ls | stat | rm | mv | ln | seal | unseal | watch) _fdstorefs_entries ;;
            completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$cur")) ;;
        esac
    fi
}

_fdstorefs_options() {
    case $1 in
        serve) echo --ready-fd --mode --entries --entries-per-uid ;;
        mount) echo --log --mode --entries --entries-per-uid ;;
        umount) echo --lazy ;;
        run) echo --map-root --mode --entries --entries-per-uid -- ;;
        put) echo --listen --replace --label --mode --at ;;
        exec) echo --stdin --fd --take --at -- ;;
        ls) echo --long --names --json --at ;;
        mv) echo --replace --at ;;
        stat | watch | status | doctor) echo --json --at ;;
        rm | ln | seal | unseal) echo --at ;;
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
