# Completion of fdstorefs for fish.  fdstorefs completion fish > ~/.config/fish/completions/fdstorefs.fish

function __fdstorefs_entries
    set -l at
    set -l words (commandline -opc)
    if set -l place (contains -i -- --at $words)
        set at --at $words[(math $place + 1)]
    end
    fdstorefs ls --names $at '**' 2>/dev/null
end

function __fdstorefs_in
    set -l words (commandline -opc)
    for verb in $argv
        contains -- $verb $words[2..]; and return 0
    end
    return 1
end

set -l instance serve mount umount run
set -l entries put exec ls stat rm mv ln seal unseal watch
set -l about status doctor completion
set -l all $instance $entries $about

complete -c fdstorefs -f
complete -c fdstorefs -l help -d 'show help'
complete -c fdstorefs -n "not __fdstorefs_in $all" -l version -d 'show the version'
complete -c fdstorefs -n "not __fdstorefs_in $instance completion" -l at -r -a '(__fish_complete_directories)' -d 'the instance mounted there'

complete -c fdstorefs -n "not __fdstorefs_in $all" -a serve -d 'run an instance in the foreground'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a mount -d 'start an instance in the background'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a umount -d 'end an instance'
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
complete -c fdstorefs -n "not __fdstorefs_in $all" -a status -d 'say what is in force'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a doctor -d 'say what this machine can do'
complete -c fdstorefs -n "not __fdstorefs_in $all" -a completion -d 'print a completion script'

complete -c fdstorefs -n "__fdstorefs_in $entries" -a '(__fdstorefs_entries)'
complete -c fdstorefs -n '__fdstorefs_in serve mount umount' -a '(__fish_complete_directories)'
complete -c fdstorefs -n '__fdstorefs_in completion' -a 'bash zsh fish'

complete -c fdstorefs -n '__fdstorefs_in serve' -l ready-fd -x -d 'write ready to descriptor N'
complete -c fdstorefs -n '__fdstorefs_in serve mount run' -l mode -x -d 'permission bits of the root'
complete -c fdstorefs -n '__fdstorefs_in serve mount run' -l entries -x -d 'hold no more than N entries'
complete -c fdstorefs -n '__fdstorefs_in serve mount run' -l entries-per-uid -x -d 'and no more than N of one user'
complete -c fdstorefs -n '__fdstorefs_in mount' -l log -r -F -d 'append to FILE'
complete -c fdstorefs -n '__fdstorefs_in umount' -l lazy -d 'end it when nobody uses it any more'
complete -c fdstorefs -n '__fdstorefs_in run' -l map-root -d 'be root in the namespace'
complete -c fdstorefs -n '__fdstorefs_in put' -l listen -x -a 'tcp: udp: unix:' -d 'stash a socket made for it'
complete -c fdstorefs -n '__fdstorefs_in put mv' -l replace -d 'replace what is there'
complete -c fdstorefs -n '__fdstorefs_in put' -l label -x -d 'a word to know it by'
complete -c fdstorefs -n '__fdstorefs_in put' -l mode -x -d 'permission bits'
complete -c fdstorefs -n '__fdstorefs_in exec' -l stdin -x -a '(__fdstorefs_entries)' -d 'becomes descriptor 0'
complete -c fdstorefs -n '__fdstorefs_in exec' -l fd -x -d 'becomes descriptor N'
complete -c fdstorefs -n '__fdstorefs_in exec' -l take -d 'take the entries out of the store'
complete -c fdstorefs -n '__fdstorefs_in ls' -s l -l long -d 'with owner, kind and what it is'
complete -c fdstorefs -n '__fdstorefs_in ls' -l names -d 'names as they are'
complete -c fdstorefs -n '__fdstorefs_in ls stat watch status doctor' -l json -d 'as JSON'
