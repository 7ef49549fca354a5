#!/usr/bin/env python3
"""nginx: one process, no log. The folder that http_load.py names in BENCH_FOLDER holds the key and the file, and is nginx's own, too."""
import os
import socket
import sys

CONFIGURATION = """
daemon off; master_process off; pid nginx.pid; error_log stderr crit; worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
http {{
    access_log off; tcp_nodelay on; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 60;
    default_type text/plain;
    open_file_cache max=10; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi; ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache {cache}; ssl_buffer_size 16k;
    server {{
        listen 127.0.0.1:{port} backlog=1024 {ssl}; root {folder}/www;
        location = / {{ return 200 "Hello, World!"; }}
    }}
}}
"""
WORKLOADS = {"http_hello": "", "tls_bulk": "ssl", "tls_handshake": "ssl", "tls_resumption": "ssl"}


def main():
    if len(sys.argv) < 2:
        print("\n".join(WORKLOADS))
        return
    folder, ssl = os.environ["BENCH_FOLDER"], WORKLOADS[sys.argv[1]]
    place = os.path.join(folder, f"nginx-{sys.argv[1]}")
    os.makedirs(place, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(os.path.join(place, "nginx.conf"), "w") as file:
        file.write(CONFIGURATION.format(folder=folder, port=port, ssl=ssl, cache="builtin:1000"))
    print(f"port {port}", flush=True)       # it is not yet there: who connects tries again
    os.execlp("nginx", "nginx", "-p", place, "-c", "nginx.conf", "-e", "stderr")


main()
