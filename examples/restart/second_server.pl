# Another web server, in another language, that was handed its listening socket as descriptor 3 (LISTEN_FDS).
use strict;
use warnings;
use IO::Socket::INET;

die "no socket was handed over\n" unless ($ENV{LISTEN_FDS} // 0) == 1 && $ENV{LISTEN_PID} == $$;
my $listening = IO::Socket::INET->new_from_fd(3, "r+") or die "descriptor 3: $!\n";
my $body = "the second server, in Perl\n";
while (my $client = $listening->accept) {
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    print $client "HTTP/1.0 200 OK\r\nContent-Length: ", length $body, "\r\n\r\n", $body;
    close $client;
}
