# made from src/config/options.ts by make docs
# no command: what is typed starts a proxy
function __amqproxy_starts
    not __fish_seen_subcommand_from show top debug kill pause resume reconnect drain undrain switch set reload check
end
complete -c amqproxy -n __fish_use_subcommand -f -a 'amqp:// amqps://'
complete -c amqproxy -n __fish_use_subcommand -f -a show -d 'Shows what there is, as a table'
complete -c amqproxy -n '__fish_seen_subcommand_from show' -f
complete -c amqproxy -n '__fish_seen_subcommand_from show; and not __fish_seen_subcommand_from clients pools upstreams brokers stats config events' -f -a 'clients pools upstreams brokers stats config events'
complete -c amqproxy -n '__fish_seen_subcommand_from show' -l json -d 'As JSON, all columns'
complete -c amqproxy -n '__fish_seen_subcommand_from show' -l ids -d 'The first column only, without a head'
complete -c amqproxy -n '__fish_seen_subcommand_from show' -l watch -x -d 'Again and again, every 2 seconds unless told otherwise'
complete -c amqproxy -n __fish_use_subcommand -f -a top -d 'Shows rates, waits, pools, clients and upstreams live'
complete -c amqproxy -n '__fish_seen_subcommand_from top' -f
complete -c amqproxy -n __fish_use_subcommand -f -a debug -d 'Logs one client\'s way at info: leases, promotion and why, its end'
complete -c amqproxy -n '__fish_seen_subcommand_from debug' -f
complete -c amqproxy -n '__fish_seen_subcommand_from debug' -f -a '(amqproxy show clients --ids 2>/dev/null)'
complete -c amqproxy -n __fish_use_subcommand -f -a kill -d 'Closes clients with 320 and the reason given'
complete -c amqproxy -n '__fish_seen_subcommand_from kill' -f
complete -c amqproxy -n '__fish_seen_subcommand_from kill' -f -a '(amqproxy show clients --ids 2>/dev/null)'
complete -c amqproxy -n '__fish_seen_subcommand_from kill' -l reason -x -d 'What clients are told, and the log'
complete -c amqproxy -n __fish_use_subcommand -f -a pause -d 'New leases and logins wait, those that are under way end'
complete -c amqproxy -n '__fish_seen_subcommand_from pause' -f
complete -c amqproxy -n '__fish_seen_subcommand_from pause' -f -a '(begin; amqproxy show pools --ids; amqproxy show brokers --ids; end 2>/dev/null)'
complete -c amqproxy -n '__fish_seen_subcommand_from pause' -l timeout -x -d 'Give up after that long, and say who holds on'
complete -c amqproxy -n __fish_use_subcommand -f -a resume -d 'Ends a pause'
complete -c amqproxy -n '__fish_seen_subcommand_from resume' -f
complete -c amqproxy -n '__fish_seen_subcommand_from resume' -f -a '(begin; amqproxy show pools --ids; amqproxy show brokers --ids; end 2>/dev/null)'
complete -c amqproxy -n __fish_use_subcommand -f -a reconnect -d 'New leases get new upstreams'
complete -c amqproxy -n '__fish_seen_subcommand_from reconnect' -f
complete -c amqproxy -n '__fish_seen_subcommand_from reconnect' -f -a '(begin; amqproxy show pools --ids; amqproxy show brokers --ids; end 2>/dev/null)'
complete -c amqproxy -n __fish_use_subcommand -f -a drain -d 'A broker gets no new upstreams'
complete -c amqproxy -n '__fish_seen_subcommand_from drain' -f
complete -c amqproxy -n '__fish_seen_subcommand_from drain' -f -a '(amqproxy show brokers --ids 2>/dev/null)'
complete -c amqproxy -n __fish_use_subcommand -f -a undrain -d 'Ends that'
complete -c amqproxy -n '__fish_seen_subcommand_from undrain' -f
complete -c amqproxy -n '__fish_seen_subcommand_from undrain' -f -a '(amqproxy show brokers --ids 2>/dev/null)'
complete -c amqproxy -n __fish_use_subcommand -f -a switch -d 'Pauses, goes to another broker when nothing is under way, and resumes: clients notice one longer wait'
complete -c amqproxy -n '__fish_seen_subcommand_from switch' -f
complete -c amqproxy -n '__fish_seen_subcommand_from switch' -l route -x -d 'For a [route NAME] alone'
complete -c amqproxy -n '__fish_seen_subcommand_from switch' -l timeout -x -d 'Give up after that long, and say who holds on'
complete -c amqproxy -n '__fish_seen_subcommand_from switch' -l force -d 'Close those who hold on, with 320, and go on'
complete -c amqproxy -n '__fish_seen_subcommand_from switch' -l reason -x -d 'What clients are told, and the log'
complete -c amqproxy -n __fish_use_subcommand -f -a set -d 'Changes a setting that can change live, until the next reload'
complete -c amqproxy -n '__fish_seen_subcommand_from set' -f
complete -c amqproxy -n '__fish_seen_subcommand_from set; and not __fish_seen_subcommand_from upstream tls_ca tls_verify tls_cert tls_key close consumers max_upstream_channels idle_connection_timeout min_upstreams channel_lifetime max_lifetime message_buffer client_buffer upstream_buffer max_clients max_clients_per_user max_upstreams max_upstreams_total allow_remote_guest loopback_users dns_period connect_timeout handshake_timeout lease_timeout send_timeout upstream_heartbeat term_client_close_timeout term_timeout log_level log_connections stats_period tls_client_ca proxy_protocol proxy_from' -f -a 'upstream tls_ca tls_verify tls_cert tls_key close consumers max_upstream_channels idle_connection_timeout min_upstreams channel_lifetime max_lifetime message_buffer client_buffer upstream_buffer max_clients max_clients_per_user max_upstreams max_upstreams_total allow_remote_guest loopback_users dns_period connect_timeout handshake_timeout lease_timeout send_timeout upstream_heartbeat term_client_close_timeout term_timeout log_level log_connections stats_period tls_client_ca proxy_protocol proxy_from'
complete -c amqproxy -n __fish_use_subcommand -f -a reload -d 'Reads the settings again, as SIGHUP does'
complete -c amqproxy -n '__fish_seen_subcommand_from reload' -f
complete -c amqproxy -n __fish_use_subcommand -f -a check -d 'Reads the settings as reload would, and changes nothing'
complete -c amqproxy -n '__fish_seen_subcommand_from check' -f
complete -c amqproxy -n __amqproxy_starts -l max-upstream-channels -x -d 'Most channels on one upstream'
complete -c amqproxy -n __amqproxy_starts -s t -l idle-connection-timeout -x -d 'Seconds after which an upstream nobody uses is closed'
complete -c amqproxy -n __amqproxy_starts -l term-client-close-timeout -x -d 'At SIGTERM: seconds clients have to leave by themselves, before they are sent a close'
complete -c amqproxy -n __amqproxy_starts -l term-timeout -x -d 'At SIGTERM: seconds clients have to answer that close'
complete -c amqproxy -n __amqproxy_starts -l log-level -x -a 'trace debug info warn error fatal silent' -d 'The least important messages to log'
complete -c amqproxy -n __amqproxy_starts -l log-format -x -a 'auto pretty journal json' -d 'How the log is written to standard output'
complete -c amqproxy -n __amqproxy_starts -s l -l listen -x -d 'Address to listen on'
complete -c amqproxy -n __amqproxy_starts -s p -l port -x -d 'Port to listen on'
complete -c amqproxy -n __amqproxy_starts -s b -l http-port -x -d 'Port of the HTTP server'
complete -c amqproxy -n __amqproxy_starts -s c -l config -r -F -d 'File with settings, see amqproxy.ini(5)'
complete -c amqproxy -n __amqproxy_starts -l check-config -d 'Check the settings, print them and where each comes from, and exit'
complete -c amqproxy -n __amqproxy_starts -l connect -d 'With --check-config: also connect to each broker as far as its greeting, and print what it is'
complete -c amqproxy -n __amqproxy_starts -l as -x -d 'With --check-config: also print which route this user takes to this vhost'
complete -c amqproxy -n __amqproxy_starts -s d -l debug -d 'The same as --log-level debug'
complete -c amqproxy -n __amqproxy_starts -s h -l help -d 'Show this help'
complete -c amqproxy -n __amqproxy_starts -s v -l version -d 'Show the version'
complete -c amqproxy -n __amqproxy_starts -l verbose -d 'With --version: also what it runs on, and which of its parts have to do without something'
