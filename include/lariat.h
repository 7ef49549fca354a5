/* lariat: the reactor and the Deferred.
 *
 * Made from the Rust source by `make header`; do not edit. Licence: MIT or Apache-2.0, as you prefer.
 *
 * A handle is a token, not an address: it may be NULL, stale, of another kind or garbage, and the answer is a status.
 * Functions are for the thread that owns their reactor, but those whose comment says: any thread.
 * NULL is refused for a pointer that does not say: may be NULL.
 * Times are seconds. Text is UTF-8, ended by NUL, and copied. */

#ifndef LARIAT_H
#define LARIAT_H

#include <stddef.h>
#include <stdint.h>

/* Define LARIAT_SHARED on Windows where the program links the DLL. */
#ifndef LARIAT_API
#if defined(_WIN32) && defined(LARIAT_SHARED)
#define LARIAT_API __declspec(dllimport)
#elif defined(__GNUC__) && !defined(_WIN32)
#define LARIAT_API __attribute__((visibility("default")))
#else
#define LARIAT_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- handles ----------------------------------------------------------------------------------------------------- */

/* A reactor: one thread's event loop, its clock, and the owner of all that is made through it. From
 * lariat_reactor_new to lariat_reactor_free. As every handle it is a token that the library looks up, never an
 * address that it follows. */
typedef struct lariat_reactor lariat_reactor;

/* A call to be made at its time. Goes stale when it has been made or cancelled; nobody frees it. */
typedef struct lariat_delayed_call lariat_delayed_call;

/* A function to be called when the reactor starts or stops, until lariat_trigger_remove. */
typedef struct lariat_trigger lariat_trigger;

/* A watched descriptor, until lariat_watcher_stop. */
typedef struct lariat_watcher lariat_watcher;

/* A watched file or directory, until lariat_file_watch_stop, or until it has told that what it watched is gone. */
typedef struct lariat_file_watch lariat_file_watch;

/* A watched signal, until lariat_signal_watch_stop. */
typedef struct lariat_signal_watch lariat_signal_watch;

/* A socket of datagrams, from when it is opened until it has told that it is stopped. */
typedef struct lariat_datagram_port lariat_datagram_port;

/* A result that is not there yet, and the callbacks that wait for it. It has two ends: the waiter's is over when it
 * is released or handed over, the worker's when it is fired or abandoned. */
typedef struct lariat_deferred lariat_deferred;

/* Why there is no result: a code, a message, the system's error number, a payload. Valid until the callback that got
 * it returns, unless kept by lariat_failure_keep. */
typedef struct lariat_failure lariat_failure;

/* What the Deferreds of a list gave, in the order given. */
typedef struct lariat_results lariat_results;

/* The addresses that a name leads to. They live as long as the Deferred whose value they are, or, once they are taken,
 * until lariat_addresses_free. */
typedef struct lariat_addresses lariat_addresses;

/* A lock for which Deferreds wait. Until lariat_lock_free. */
typedef struct lariat_lock lariat_lock;

/* A number of tokens for which Deferreds wait. Until lariat_semaphore_free. */
typedef struct lariat_semaphore lariat_semaphore;

/* Values that wait for Deferreds, and Deferreds that wait for values. Until lariat_queue_free. */
typedef struct lariat_queue lariat_queue;

/* A function that is called over and over, at an interval. Until lariat_looping_call_free. */
typedef struct lariat_looping_call lariat_looping_call;

/* Shares the loop's time among tasks. Until lariat_cooperator_free. */
typedef struct lariat_cooperator lariat_cooperator;

/* A task of a cooperator, done step by step. Goes stale when it is over; nobody frees it. */
typedef struct lariat_cooperative_task lariat_cooperative_task;

/* A function that runs on a pool thread. Valid on that thread, until the function returns. */
typedef struct lariat_job lariat_job;

/* A group of things that end together: a level, a plug-in, a request. Until lariat_scope_free. */
typedef struct lariat_scope lariat_scope;

/* A world without a kernel: one clock, any number of reactors, all that happens decided by a seed. Until
 * lariat_simulation_free. */
typedef struct lariat_simulation lariat_simulation;

/* A socket that takes connections, until the Deferred of lariat_listener_stop has fired. */
typedef struct lariat_listener lariat_listener;

/* A connection. Goes stale when its connection_lost has returned; nobody frees it. */
typedef struct lariat_transport lariat_transport;

/* Connects, and connects again when the connection is lost. Until lariat_reconnecting_client_free. */
typedef struct lariat_reconnecting_client lariat_reconnecting_client;

/* Connections that are kept open to be used again. Until lariat_connection_pool_free. */
typedef struct lariat_connection_pool lariat_connection_pool;

/* An open file, until the Deferred of lariat_file_close has fired. */
typedef struct lariat_file lariat_file;

/* A directory that is being read, until the Deferred of lariat_directory_close has fired. */
typedef struct lariat_directory lariat_directory;

/* Bytes that were read, or a path. They live as long as the Deferred whose value they are, or, once they are taken,
 * until lariat_bytes_free. */
typedef struct lariat_bytes lariat_bytes;

/* Entries of a directory. They live as long as the Deferred whose value they are, or, once they are taken, until
 * lariat_directory_entries_free. */
typedef struct lariat_directory_entries lariat_directory_entries;

/* What is known of a file. It lives as long as the Deferred whose value it is, or, once it is taken, until
 * lariat_file_info_free. */
typedef struct lariat_file_info lariat_file_info;

/* A child process. Goes stale when its process_ended has returned; nobody frees it. */
typedef struct lariat_process lariat_process;

/* What a process has written, and how it has ended. Lives as long as the Deferred whose value it is, or, once it is
 * taken, until lariat_process_output_free. */
typedef struct lariat_process_output lariat_process_output;

/* A client of HTTP, with its connections. Until lariat_http_agent_free. */
typedef struct lariat_http_agent lariat_http_agent;

/* A request of an agent, and what comes of it. Goes stale when it is over; nobody frees it. */
typedef struct lariat_http_exchange lariat_http_exchange;

/* A response to a request of an agent. It lives as long as the Deferred whose value it is, or, once it is taken, until
 * lariat_http_response_free. */
typedef struct lariat_http_response lariat_http_response;

/* A connection that carries messages. Goes stale when its closed has returned; nobody frees it. */
typedef struct lariat_websocket lariat_websocket;

/* Several reactors, each on a thread of its own. Until lariat_reactor_group_free. */
typedef struct lariat_reactor_group lariat_reactor_group;

/* What TLS connections show and trust: immutable, and usable on any thread. Until lariat_tls_configuration_free. */
typedef struct lariat_tls_configuration lariat_tls_configuration;

/* A server of HTTP. Until lariat_http_server_free. */
typedef struct lariat_http_server lariat_http_server;

/* A request that came to a server, and the response to it. Goes stale when the response is finished, or cannot be any
 * more, and that was told: when its handler has returned, or at the end of a turn after that. Nobody frees it. What it
 * tells as text or bytes lives as long. */
typedef struct lariat_http_request lariat_http_request;

/* Which requests go to which handler. Until lariat_http_router_free. */
typedef struct lariat_http_router lariat_http_router;

/* ---- Status codes, and the thread's last failure ----------------------------------------------------------------- */

/* What a call answers: 0 is LARIAT_OK, negative an error, positive information. The same on every operating system.
 *
 * A call with a handle may answer, first of all and in this order: LARIAT_ERR_INVALID_ARGUMENT (the handle is NULL),
 * LARIAT_ERR_INVALID_HANDLE (not a handle), LARIAT_ERR_FORKED, LARIAT_ERR_PANIC, LARIAT_ERR_WRONG_THREAD,
 * LARIAT_ERR_INVALID_HANDLE (of another kind), LARIAT_ERR_STALE_HANDLE. A call that makes or keeps something may
 * answer LARIAT_ERR_NO_MEMORY, and LARIAT_ERR_CLOSED while its reactor is being freed; one with other arguments
 * answers LARIAT_ERR_INVALID_ARGUMENT when one of them is not what its comment asks for, before anything is kept or
 * done. The comments below list only what comes beside these.
 *
 * A call that returns a handle or a pointer returns NULL when it fails, one that returns seconds a NaN;
 * lariat_last_error then tells the status. */
typedef int32_t lariat_status;

enum {
    /* It worked. */
    LARIAT_OK = 0,
    /* There is more to do: the budget of a frame ran out with work left; from a step function: call me again. */
    LARIAT_MORE = 1,
    /* The reactor has stopped, its shutdown triggers are done. */
    LARIAT_STOPPED = 2,
    /* No event is waiting. */
    LARIAT_EMPTY = 3,
    /* An argument is not what it must be; the message names it. */
    LARIAT_ERR_INVALID_ARGUMENT = -1,
    /* The handle is not one, or names a thing of another kind. */
    LARIAT_ERR_INVALID_HANDLE = -2,
    /* What the handle named is over: freed, fired and released, made, stopped. */
    LARIAT_ERR_STALE_HANDLE = -3,
    /* The handle belongs to a reactor of another thread. */
    LARIAT_ERR_WRONG_THREAD = -4,
    /* Two handles belong to different reactors. */
    LARIAT_ERR_WRONG_REACTOR = -5,
    /* The handle was made before the process forked: it is the parent's. */
    LARIAT_ERR_FORKED = -6,
    /* It cannot be done now, or not with this reactor. */
    LARIAT_ERR_INVALID_STATE = -7,
    /* The reactor is running further up the stack: run inside run, iterate inside a callback. */
    LARIAT_ERR_REENTRANT = -8,
    /* It cannot be ended, or moved, while a callback of its own is running. */
    LARIAT_ERR_BUSY = -9,
    /* The reactor, lock, queue or the like is being freed, or was. */
    LARIAT_ERR_CLOSED = -10,
    /* There is not enough memory. Nothing was changed. */
    LARIAT_ERR_NO_MEMORY = -11,
    /* Not on this platform, or not with this driver. */
    LARIAT_ERR_NOT_SUPPORTED = -12,
    /* The library failed inside, which is a bug in it; the reactor refuses all work but lariat_reactor_free. */
    LARIAT_ERR_PANIC = -13,
    /* The operating system refused; the message, and lariat_failure_os_error, say why. */
    LARIAT_ERR_OS = -14,
    /* The Deferred has fired; the delayed call has been made. */
    LARIAT_ERR_ALREADY_CALLED = -15,
    /* The delayed call was cancelled. */
    LARIAT_ERR_ALREADY_CANCELLED = -16,
    /* The Deferred was cancelled. */
    LARIAT_ERR_CANCELLED = -17,
    /* The worker of the Deferred gave it up. */
    LARIAT_ERR_ABANDONED = -18,
    /* The waiter of the Deferred has released it. */
    LARIAT_ERR_RELEASED = -19,
    /* The Deferred was handed over to another waiter. */
    LARIAT_ERR_ALREADY_WAITED = -20,
    /* A Deferred would wait for itself. */
    LARIAT_ERR_CYCLE = -21,
    /* It took too long. */
    LARIAT_ERR_TIMED_OUT = -22,
    /* Every Deferred of a race failed; lariat_failure_results tells why. */
    LARIAT_ERR_ALL_FAILED = -23,
    /* The reactor is not running, or was told to stop already. */
    LARIAT_ERR_NOT_RUNNING = -24,
    /* The queue holds as many values as it may. */
    LARIAT_ERR_QUEUE_OVERFLOW = -25,
    /* As many Deferreds wait for the queue as may. */
    LARIAT_ERR_QUEUE_UNDERFLOW = -26,
    /* The descriptor is watched already. */
    LARIAT_ERR_ALREADY_WATCHED = -27,
    /* Nothing can ever happen again in the simulation. */
    LARIAT_ERR_DEADLOCK = -28,
    /* The Deferred has no result yet. */
    LARIAT_ERR_NOT_CALLED = -29,
    /* A limit set by the options was reached. */
    LARIAT_ERR_LIMIT = -30,
};

enum {
    LARIAT_CONNECTION_DONE = -31, /* The connection was closed cleanly: the reason of an end, no error. */
};

enum {
    /* The connection was lost: reset by the peer, or failed. */
    LARIAT_ERR_CONNECTION_LOST = -32,
    /* The connection was ended by lariat_transport_abort_connection. */
    LARIAT_ERR_CONNECTION_ABORTED = -33,
    /* Nobody takes connections there, or this one was not wanted. */
    LARIAT_ERR_CONNECTION_REFUSED = -34,
    /* No connection could be made; the message says what each address answered. */
    LARIAT_ERR_CONNECT_FAILED = -35,
    /* There is no way to the host or network. */
    LARIAT_ERR_UNREACHABLE = -36,
    /* Somebody else has the address. */
    LARIAT_ERR_ADDRESS_IN_USE = -37,
    /* The address is not one of this host's. */
    LARIAT_ERR_ADDRESS_NOT_AVAILABLE = -38,
    /* The operating system does not allow it. */
    LARIAT_ERR_PERMISSION_DENIED = -39,
    /* The name has no address. */
    LARIAT_ERR_NAME_NOT_FOUND = -40,
    /* The name could not be looked up; it may be another time. */
    LARIAT_ERR_LOOKUP_FAILED = -41,
    /* The endpoint is not one; the message shows the place. */
    LARIAT_ERR_BAD_ENDPOINT = -42,
    /* As much waits to be written as may. */
    LARIAT_ERR_BUFFER_FULL = -43,
    /* It is longer than it may be. */
    LARIAT_ERR_TOO_LONG = -44,
    /* It was cut short. */
    LARIAT_ERR_TRUNCATED = -45,
    /* What came breaks the rules of the framing. */
    LARIAT_ERR_BAD_FRAME = -46,
    /* The connection has a producer already. */
    LARIAT_ERR_ALREADY_REGISTERED = -47,
    /* The process, or the system, has as many descriptors as it may. */
    LARIAT_ERR_TOO_MANY_DESCRIPTORS = -48,
    /* There is no such file, program or directory; the message names it. */
    LARIAT_ERR_NOT_FOUND = -49,
    /* There is a file or directory of that name already. */
    LARIAT_ERR_ALREADY_EXISTS = -50,
    /* It is no directory, where one is needed. */
    LARIAT_ERR_NOT_A_DIRECTORY = -51,
    /* It is a directory, a named pipe or the like, where a file is needed. */
    LARIAT_ERR_NOT_A_FILE = -52,
    /* The directory is not empty. */
    LARIAT_ERR_NOT_EMPTY = -53,
    /* The disk, or the user's share of it, is full. */
    LARIAT_ERR_NO_SPACE = -54,
};

enum {
    LARIAT_PROCESS_DONE = -55, /* The reason of a process that has ended with code 0. */
};

enum {
    /* A process has ended with another code, or by a signal: see lariat_failure_exit_code and lariat_failure_exit_signal.
     */
    LARIAT_ERR_PROCESS_TERMINATED = -56,
    /* A process has ended, and how is not known: somebody else has waited for it. */
    LARIAT_ERR_STATUS_UNKNOWN = -57,
    /* TLS failed: the peer broke its rules, or has no version or cipher suite in common with this side; the message says what.
     */
    LARIAT_ERR_TLS = -60,
    /* The peer has ended TLS with an alert, which the message names. */
    LARIAT_ERR_TLS_ALERT = -61,
    /* The peer's certificate has expired, or is not valid yet; the message says when. */
    LARIAT_ERR_CERTIFICATE_EXPIRED = -62,
    /* The peer's certificate is for other names than the one that was connected to; the message says which. */
    LARIAT_ERR_CERTIFICATE_NAME = -63,
    /* The peer's certificate is issued by nobody that is trusted. */
    LARIAT_ERR_CERTIFICATE_ISSUER = -64,
    /* The peer's certificate is not valid for another reason: its signature, its purpose, its form. */
    LARIAT_ERR_CERTIFICATE_INVALID = -65,
    /* Neither the peer's certificate nor its public key is pinned; the message has both. */
    LARIAT_ERR_CERTIFICATE_PIN = -66,
    /* The peer has shown no certificate, which is required. */
    LARIAT_ERR_CERTIFICATE_MISSING = -67,
    /* There is no protocol above TLS that both sides speak (ALPN). */
    LARIAT_ERR_ALPN = -68,
    /* A certificate or private key of a configuration cannot be used; the message names the file and says why. */
    LARIAT_ERR_BAD_CERTIFICATE = -69,
    /* What came from a peer is not a message of the protocol that is spoken. */
    LARIAT_ERR_BAD_MESSAGE = -70,
    /* A request is redirected, and may not be: to where, or why not, is in the message. */
    LARIAT_ERR_REDIRECT = -71,
    /* The peer, or a rule that it broke, has ended the stream of HTTP/2. */
    LARIAT_ERR_STREAM_RESET = -85,
    /* The other side does not agree to a WebSocket: what it has sent is no handshake, or it refuses; the message says which.
     */
    LARIAT_ERR_WEBSOCKET_HANDSHAKE = -80,
};

/* Tells the status of this thread's last failed call. A call that works leaves it alone.
 *
 * returns  a negative status; LARIAT_OK if no call of this thread has failed yet.
 * thread   any; each has its own. */
LARIAT_API lariat_status lariat_last_error(void);

/* Tells in words why this thread's last failed call failed: which argument, which descriptor, what the system said.
 *
 * returns  text, never NULL; valid until the thread's next failing call.
 * thread   any; each has its own. */
LARIAT_API const char *lariat_last_error_message(void);

/* Tells the name of a status.
 *
 * status   any number.
 * returns  such as "LARIAT_ERR_CLOSED"; for a number that is no status, words that say so. Never NULL, valid for
 *          ever.
 * thread   any. */
LARIAT_API const char *lariat_status_name(lariat_status status);

/* Tells what a status means, in a sentence.
 *
 * status   any number.
 * returns  text; never NULL, valid for ever.
 * thread   any. */
LARIAT_API const char *lariat_status_message(lariat_status status);

/* ---- Versions of the library and of its ABI ---------------------------------------------------------------------- */

/* The version of the library that this header belongs to: its major part. */
#define LARIAT_VERSION_MAJOR 0

/* Its minor part. */
#define LARIAT_VERSION_MINOR 1

/* Its patch level. */
#define LARIAT_VERSION_PATCH 0

/* The ABI that this header describes; for lariat_check_abi. */
#define LARIAT_ABI_VERSION 0

/* Tells the library's version, as text.
 *
 * returns  such as "0.1.0"; never NULL, valid for ever.
 * thread   any. */
LARIAT_API const char *lariat_version(void);

/* Tells the library's version, as a number that grows with it.
 *
 * returns  major * 1000000 + minor * 1000 + patch.
 * thread   any. */
LARIAT_API int32_t lariat_version_number(void);

/* Tells whether the library that runs has the ABI that the program was compiled for. To be called once, first.
 *
 * header_abi_version  LARIAT_ABI_VERSION.
 * returns             LARIAT_OK, or LARIAT_ERR_INVALID_ARGUMENT when it has another.
 * thread              any. */
LARIAT_API lariat_status lariat_check_abi(int32_t header_abi_version);

/* ---- Callbacks: the types of the functions that the library calls ------------------------------------------------ */

#if !defined(_WIN32)
/* A descriptor of the operating system: a file descriptor on Unix. */
typedef int lariat_socket;
#endif

#if defined(_WIN32)
/* A descriptor of the operating system: a SOCKET on Windows. */
typedef size_t lariat_socket;
#endif

/* A call without arguments of its own. On the reactor's thread, except by lariat_reactor_call_in_thread: there on a
 * pool thread.
 *
 * user_data  as given with the function. */
typedef void (*lariat_call_fn)(void *user_data);

/* Frees what the library was given to own: user data, a value or a payload. Called exactly once, on the reactor's
 * thread, or on the caller's when the call that it was given to fails.
 *
 * data  what came with the function; NULL too, if that is what came. */
typedef void (*lariat_free_fn)(void *data);

/* A callback in the chain of a Deferred, on the reactor's thread: gets the present value.
 *
 * deferred   the Deferred whose chain runs: for lariat_deferred_return, _fail, _wait_for and _take.
 * value      what the callback before returned, or what it was fired with; stays the chain's unless taken.
 * user_data  as given with the function.
 * returns    the next value, unless another outcome was recorded. */
typedef void *(*lariat_callback_fn)(lariat_deferred *deferred, void *value, void *user_data);

/* An errback in the chain of a Deferred, on the reactor's thread: gets the present failure, which it handles unless
 * it records another one.
 *
 * deferred   the Deferred whose chain runs: for lariat_deferred_refail, _fail, _wait_for and _return.
 * failure    valid until the function returns, unless kept.
 * user_data  as given with the function.
 * returns    the next value, unless another outcome was recorded. */
typedef void *(*lariat_errback_fn)(lariat_deferred *deferred, const lariat_failure *failure, void *user_data);

/* A function in the chain of a Deferred, on the reactor's thread, that gets values and failures alike.
 *
 * deferred   the Deferred whose chain runs.
 * value      as a callback gets it; NULL when there is a failure.
 * failure    as an errback gets it; NULL when there is a value.
 * user_data  as given with the function.
 * returns    the next value, unless another outcome was recorded. */
typedef void *(*lariat_both_fn)(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data);

/* Told, at most once and on the reactor's thread, that nobody wants the result any more. It may fire the Deferred;
 * unless it does, the Deferred then fires with LARIAT_ERR_CANCELLED.
 *
 * deferred   the cancelled Deferred.
 * user_data  as given with the function. */
typedef void (*lariat_canceller_fn)(lariat_deferred *deferred, void *user_data);

/* A trigger of the reactor's start or end, on the reactor's thread.
 *
 * user_data  as given with the function.
 * returns    NULL: it is done; or a Deferred, handed over: it is done when that has fired. */
typedef lariat_deferred *(*lariat_trigger_fn)(void *user_data);

/* The function of a looping call, on the reactor's thread.
 *
 * looping_call  the looping call: for lariat_looping_call_count and _stop.
 * user_data     as given with the function.
 * returns       NULL: this time is done; or a Deferred, handed over: done when it has fired; its failure ends the
 *               loop. */
typedef lariat_deferred *(*lariat_looping_fn)(lariat_looping_call *looping_call, void *user_data);

/* One step of a cooperator's task, on the reactor's thread.
 *
 * task       the task: for lariat_cooperative_task_wait_for and _pause.
 * user_data  as given with the function.
 * returns    LARIAT_MORE: call it again; LARIAT_OK: the task is done; anything else: it failed with that code. */
typedef lariat_status (*lariat_step_fn)(lariat_cooperative_task *task, void *user_data);

/* Told, on the reactor's thread, that a watched descriptor is ready; once a turn for as long as it is.
 *
 * watcher    the watcher of the descriptor.
 * readiness  LARIAT_READABLE, LARIAT_WRITABLE or both: of those that it asks for. An end or an error counts as
 *            either.
 * user_data  as given with the function. */
typedef void (*lariat_ready_fn)(lariat_watcher *watcher, int32_t readiness, void *user_data);

/* Told that a signal has come, on the reactor's thread, from a turn of the loop: never from the handler, so it may do
 * anything.
 *
 * watch      the watch: for lariat_signal_watch_count and _stop.
 * number     the signal's, as SIGINT.
 * user_data  as given with the function. */
typedef void (*lariat_signal_fn)(lariat_signal_watch *watch, int32_t number, void *user_data);

/* A change of something that is watched. It lives until the function that is told of it returns; as the value of an
 * event, with that. */
typedef struct lariat_file_change {
    uint32_t struct_size; /* sizeof(lariat_file_change), as the library knows it. */
    int32_t kind;         /* What it is: LARIAT_CHANGE_CREATED and so on. */
    const char *path;     /* What has changed: the path as it was given, and what is below it. */
    const char *from;     /* What was moved: its path before; else NULL. */
    int32_t is_directory; /* 1: it is a directory. */
    int32_t reserved;     /* 0. */
} lariat_file_change;

/* Told of a change, on the reactor's thread.
 *
 * watch      the watch: for lariat_file_watch_stop.
 * change     what has changed; valid until the function returns.
 * user_data  as given with the function. */
typedef void (*lariat_file_changed_fn)(lariat_file_watch *watch, const lariat_file_change *change, void *user_data);

/* A job, on a pool thread.
 *
 * job        for lariat_job_return, lariat_job_fail and lariat_job_cancelled.
 * user_data  as given with the function.
 * returns    the value that its Deferred fires with, unless another outcome was recorded. */
typedef void *(*lariat_job_fn)(lariat_job *job, void *user_data);

/* What a blocking call has done on the reactor's thread.
 *
 * reactor    the reactor.
 * user_data  as given with the function.
 * returns    a Deferred, handed over, whose result is waited for; NULL fails with the last error of the reactor's
 *            thread. */
typedef lariat_deferred *(*lariat_blocking_fn)(lariat_reactor *reactor, void *user_data);

/* Looks a name up in place of the system, on the reactor's thread.
 *
 * reactor    the reactor.
 * name       UTF-8; valid until the function returns.
 * family     LARIAT_FAMILY_ANY, _IPV4 or _IPV6: addresses of another family are left out of the answer.
 * answer     for lariat_addresses_add; stale once the look-up is over.
 * user_data  as given with the function.
 * returns    NULL: answer has all addresses, or none; or a Deferred, handed over: it has when that has fired, together
 *            with those of a lariat_addresses that it fires with; its failure is the look-up's. It is cancelled when
 *            nobody waits any more. */
typedef lariat_deferred *(*lariat_resolver_fn)(lariat_reactor *reactor, const char *name, int32_t family,
                                               lariat_addresses *answer, void *user_data);

/* Told what the library has to say, on the reactor's thread. What it logs itself meanwhile is dropped.
 *
 * level      LARIAT_LOG_ERROR, LARIAT_LOG_WARNING or LARIAT_LOG_INFO.
 * message    one line of text, valid until the function returns.
 * user_data  as given with the function. */
typedef void (*lariat_log_fn)(int32_t level, const char *message, void *user_data);

/* Told of a callback that held up the loop for longer than slow_callback_seconds, on the reactor's thread.
 *
 * seconds    how long it took.
 * what       what kind of callback it was, in words; valid until the function returns.
 * user_data  as given with the function. */
typedef void (*lariat_slow_fn)(double seconds, const char *what, void *user_data);

/* Told of a failure that nobody handled, once, on the reactor's thread, when its Deferred is reclaimed.
 *
 * failure    valid until the function returns, unless kept.
 * user_data  as given with the function. */
typedef void (*lariat_unhandled_fn)(const lariat_failure *failure, void *user_data);

/* Told that a connection is there, on the reactor's thread, before anything else of it.
 *
 * transport  the connection.
 * self       as given with the protocol, or made by the build function. */
typedef void (*lariat_connection_made_fn)(lariat_transport *transport, void *self);

/* Told that data has come, on the reactor's thread. What it writes goes out when it returns.
 *
 * transport  the connection.
 * data       len bytes, until the function returns.
 * len        at least 1; of a frame also 0.
 * self       as given with the protocol, or made by the build function. */
typedef void (*lariat_data_received_fn)(lariat_transport *transport, const uint8_t *data, size_t len, void *self);

/* Told that a connection is over, on the reactor's thread, once and last, never from inside the call that ended it.
 *
 * transport  the connection, which can do nothing any more; stale when the function returns.
 * reason     LARIAT_CONNECTION_DONE for a clean end; else why. Valid until the function returns, unless kept.
 * self       as given with the protocol, or made by the build function; freed afterwards by its free_self. */
typedef void (*lariat_connection_lost_fn)(lariat_transport *transport, const lariat_failure *reason, void *self);

/* Told that one direction of a connection has ended, on the reactor's thread.
 *
 * transport  the connection.
 * self       as given with the protocol, or made by the build function. */
typedef void (*lariat_half_closed_fn)(lariat_transport *transport, void *self);

/* Makes what the functions of a new connection's protocol get as self, on the reactor's thread. The transport can be
 * told things already, and be written to.
 *
 * listener   where it came in; NULL of a connection that a reconnecting client or a pool has made.
 * transport  the connection.
 * self       to be written: what the functions get; NULL unless it is.
 * user_data  as given with the function.
 * returns    LARIAT_OK; anything else refuses the connection, which is closed, and nothing of it is called. */
typedef lariat_status (*lariat_build_protocol_fn)(lariat_listener *listener, lariat_transport *transport, void **self,
                                                  void *user_data);

/* Told that an attempt of a reconnecting client has failed, on the reactor's thread.
 *
 * client     the client, which may be stopped or freed here.
 * failure    why; valid until the function returns, unless kept.
 * seconds    how long it waits before the next attempt; INFINITY: there is none, it has given up.
 * user_data  as given with the function. */
typedef void (*lariat_attempt_failed_fn)(lariat_reconnecting_client *client, const lariat_failure *failure,
                                         double seconds, void *user_data);

/* Told of a connection that did not get through its TLS handshake, on the reactor's thread.
 *
 * listener   the listener that it came to.
 * failure    why, naming the peer; valid until the function returns, unless kept.
 * user_data  as given with the function. */
typedef void (*lariat_handshake_failed_fn)(lariat_listener *listener, const lariat_failure *failure, void *user_data);

/* Prepares a reactor of a group before its loop runs, on the reactor's thread. The group calls it for one reactor after
 * the other, never for two at once.
 *
 * reactor    one of the group's.
 * index      which, from 0 on.
 * user_data  as given with the function.
 * returns    LARIAT_OK; anything else ends the group, and becomes the answer of lariat_reactor_group_start. */
typedef lariat_status (*lariat_group_setup_fn)(lariat_reactor *reactor, uint32_t index, void *user_data);

/* Tells a producer something, on the reactor's thread.
 *
 * transport  the connection that it writes to.
 * user_data  as given with the producer. */
typedef void (*lariat_producer_fn)(lariat_transport *transport, void *user_data);

/* Told of the body of a request, on the reactor's thread.
 *
 * exchange   the request: for lariat_http_exchange_write and the like.
 * user_data  producer_data of the request's options. */
typedef void (*lariat_http_exchange_fn)(lariat_http_exchange *exchange, void *user_data);

/* Told of a piece of the body of a response, on the reactor's thread.
 *
 * response   the response.
 * data       len bytes, until the function returns.
 * len        at least 1.
 * user_data  as given with the function. */
typedef void (*lariat_http_response_received_fn)(lariat_http_response *response, const uint8_t *data, size_t len,
                                                 void *user_data);

/* Told that the body of a response has ended, on the reactor's thread, once and last.
 *
 * response   the response; if its Deferred is gone, stale when the function returns.
 * reason     NULL: the body is whole. Else why it is not: valid until the function returns, unless kept.
 * user_data  as given with the function. */
typedef void (*lariat_http_response_ended_fn)(lariat_http_response *response, const lariat_failure *reason,
                                              void *user_data);

/* Tells whether a domain is a public suffix (publicsuffix.org): one below which anybody may register names, such as "co.uk". Called on the
 * reactor's thread.
 *
 * domain     in lower case, without a dot before it; valid until the function returns.
 * user_data  as given with the function.
 * returns    not 0: it is. */
typedef int32_t (*lariat_public_suffix_fn)(const char *domain, void *user_data);

/* Handles a request, on the reactor's thread: called when its head has come.
 *
 * request    the request, and its response.
 * user_data  as given with the function.
 * returns    NULL: the function has answered, or somebody will, by lariat_http_request_respond and the like. Or a
 *            Deferred, handed over: when it fails and nothing was answered, the answer is 500, or the failure's code if
 *            that is from 400 to 599; it is cancelled when the client is gone. Its value means nothing. */
typedef lariat_deferred *(*lariat_http_handler_fn)(lariat_http_request *request, void *user_data);

/* Told, on the reactor's thread, of a part of a request's body that has come.
 *
 * request    the request.
 * data       valid until the function returns.
 * len        how many bytes data has, at least 1.
 * user_data  as given with the function. */
typedef void (*lariat_http_body_received_fn)(lariat_http_request *request, const uint8_t *data, size_t len,
                                             void *user_data);

/* Told, once and on the reactor's thread, that no more of a request's body comes.
 *
 * request    the request.
 * failure    NULL: all of it has come; else why the rest does not. Valid until the function returns, unless kept.
 * user_data  as given with the function. */
typedef void (*lariat_http_body_ended_fn)(lariat_http_request *request, const lariat_failure *failure, void *user_data);

/* Tells who writes a response something, on the reactor's thread.
 *
 * request    the request that is answered.
 * user_data  as given with the producer. */
typedef void (*lariat_http_producer_fn)(lariat_http_request *request, void *user_data);

/* What an access log says of a request that is over, or of what was refused because it was none: 400, 408, 414, 431 and
 * their like. A combined log has all of it; the request can be asked for more. */
typedef struct lariat_http_access {
    /* How large this struct is: fields past it are not there. */
    uint32_t struct_size;
    /* The response's code; 0: none was sent. */
    int32_t code;
    /* The request: good until the function returns; NULL where what came was refused and is none. */
    lariat_http_request *request;
    /* NULL: the response was finished; else why it was not, or what was refused. */
    const lariat_failure *failure;
    /* Who asked, as "203.0.113.7:4711"; empty where nobody knows. */
    const char *peer;
    /* Such as "GET"; "" of what was refused. */
    const char *method;
    /* As it was sent; "" of what was refused. */
    const char *target;
    /* 10, 11 or 20; 0 of what was refused. */
    int32_t version;
    /* Zero. */
    uint32_t reserved;
    /* The header Referer; may be NULL. */
    const char *referer;
    /* The header User-Agent; may be NULL. */
    const char *user_agent;
    /* Bytes of the response's body. */
    uint64_t bytes_sent;
    /* Bytes of the request's body. */
    uint64_t bytes_received;
    /* From the request's head to the end of its response. */
    double seconds;
} lariat_http_access;

/* Told of a request that is over, on the reactor's thread.
 *
 * access     what there is to be logged; valid until the function returns.
 * user_data  as given with the function. */
typedef void (*lariat_http_access_fn)(const lariat_http_access *access, void *user_data);

/* ---- Addresses of sockets, as values ----------------------------------------------------------------------------- */

enum {
    LARIAT_ADDRESS_UNIX = 1, /* A Unix socket: path, path_length. */
    LARIAT_ADDRESS_IPV4 = 4, /* IPv4: the first 4 bytes of host, port. */
    LARIAT_ADDRESS_IPV6 = 6, /* IPv6: host, port, scope_id. */
};

/* Where a socket is; to be prepared once by lariat_address_init. A plain value: two that are equal byte by byte are
 * the same address. */
typedef struct lariat_address {
    uint32_t struct_size; /* Set by lariat_address_init. */
    int32_t family;       /* LARIAT_ADDRESS_IPV4, LARIAT_ADDRESS_IPV6 or LARIAT_ADDRESS_UNIX; 0: none. */
    uint32_t scope_id;    /* The number of the network interface of a link-local IPv6 address; else 0. */
    uint16_t port;        /* The port, in the host's byte order; 0 of a Unix socket. */
    uint16_t path_length; /* How many bytes path has; 0 of a Unix socket without a name. */
    uint8_t host[16];     /* The IP address, in network byte order. */
    uint8_t path[108];    /* The path of a Unix socket, or after a zero byte its abstract name; not ended by NUL. */
} lariat_address;

/* Prepares an address: it is none yet.
 *
 * address      written.
 * struct_size  sizeof(lariat_address).
 * thread       any. */
LARIAT_API lariat_status lariat_address_init(lariat_address *address, uint32_t struct_size);

/* Reads an address from text: an endpoint without options, such as udp://127.0.0.1:53 or unix-datagram:///run/x; or
 * 127.0.0.1:53 and [::1]:53 alone. Nothing is looked up.
 *
 * address  prepared by lariat_address_init; written.
 * text     bytes, ended by NUL.
 * errors   LARIAT_ERR_BAD_ENDPOINT for what is no address; the message shows the place.
 * thread   any. */
LARIAT_API lariat_status lariat_address_parse(lariat_address *address, const char *text);

/* Writes an address as the endpoint that leads there: udp://127.0.0.1:53, udp://[::1]:53, unix-datagram:///run/x.
 *
 * address   as it was received, parsed or filled in.
 * text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
 * capacity  how many bytes text has.
 * length    written: how many bytes there are, without the NUL; may be NULL.
 * errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_INVALID_ARGUMENT when it is no address.
 * thread    any. */
LARIAT_API lariat_status lariat_address_format(const lariat_address *address, char *text, size_t capacity,
                                               size_t *length);

/* ---- What a reactor is made with --------------------------------------------------------------------------------- */

enum {
    LARIAT_DRIVER_MIO = 0,       /* The real driver: epoll, kqueue, or Windows' AFD. */
    LARIAT_DRIVER_SIMULATED = 1, /* No kernel: the reactor is one of options.simulation's. */
};

enum {
    /* The system's monotonic clock, or the simulation's. */
    LARIAT_CLOCK_REAL = 0,
    /* A clock at 0 that lariat_reactor_advance alone moves; polls never wait, and lariat_reactor_run is refused. */
    LARIAT_CLOCK_MANUAL = 1,
};

enum {
    /* Something went wrong that no call could answer for: an unhandled failure, a trigger that failed, a panic. */
    LARIAT_LOG_ERROR = 1,
    /* Something may go wrong: a slow callback. */
    LARIAT_LOG_WARNING = 2,
    /* Something worth knowing. */
    LARIAT_LOG_INFO = 3,
};

/* How a reactor is made: to be filled by lariat_reactor_options_init, changed, and given to
 * lariat_reactor_new_with_options, which copies it. */
typedef struct lariat_reactor_options {
    /* Set by lariat_reactor_options_init. */
    uint32_t struct_size;
    /* LARIAT_DRIVER_MIO (default) or LARIAT_DRIVER_SIMULATED. */
    int32_t driver;
    /* LARIAT_CLOCK_REAL (default) or LARIAT_CLOCK_MANUAL. */
    int32_t clock;
    /* Pool threads at most; 0: 10 (default). */
    uint32_t thread_pool_size;
    /* A pool thread without work ends after so many seconds, or INFINITY; default 30. */
    double thread_idle_seconds;
    /* Seconds that lariat_reactor_free and lariat_scope_end wait for running jobs at most, or INFINITY; default 5. */
    double shutdown_seconds;
    /* A callback that takes longer is reported to slow_callback; 0: none is (default). */
    double slow_callback_seconds;
    /* How many seconds to look for work before the thread sleeps; 0: it sleeps at once (default). */
    double spin_seconds;
    /* Events that wait to be taken, at which watchers pause; 0: 1024 (default). */
    uint32_t max_events;
    /* Jobs that wait or run at most; 0: no limit (default). */
    uint32_t max_jobs;
    /* Delayed calls at most; 0: no limit (default). */
    uint64_t max_delayed_calls;
    /* Deferreds at most; 0: no limit (default). */
    uint64_t max_deferreds;
    /* The simulation of LARIAT_DRIVER_SIMULATED; else NULL (default). */
    lariat_simulation *simulation;
    /* The name of this reactor's host in the simulation, UTF-8; may be NULL: "localhost". */
    const char *host;
    /* Told what the library has to say; may be NULL: nobody is (default). */
    lariat_log_fn log;
    /* For log; may be NULL. */
    void *log_user_data;
    /* May be NULL; called once, when the reactor is freed or could not be made. */
    lariat_free_fn free_log_user_data;
    /* Told of slow callbacks; may be NULL: log is told (default). */
    lariat_slow_fn slow_callback;
    /* For slow_callback; may be NULL. */
    void *slow_user_data;
    /* May be NULL; called once, when the reactor is freed or could not be made. */
    lariat_free_fn free_slow_user_data;
    /* Told of failures that nobody handled; may be NULL: log is told (default). */
    lariat_unhandled_fn unhandled_failure;
    /* For unhandled_failure; may be NULL. */
    void *unhandled_user_data;
    /* May be NULL; called once, when the reactor is freed or could not be made. */
    lariat_free_fn free_unhandled_user_data;
} lariat_reactor_options;

/* Fills the options with the defaults.
 *
 * options      written.
 * struct_size  sizeof(lariat_reactor_options).
 * thread       any. */
LARIAT_API lariat_status lariat_reactor_options_init(lariat_reactor_options *options, uint32_t struct_size);

/* ---- The reactor: making, running, stopping, embedding and freeing it -------------------------------------------- */

/* Makes a reactor of the calling thread, with the default options.
 *
 * returns  the reactor, to be freed by lariat_reactor_free; NULL on failure.
 * errors   LARIAT_ERR_OS when the system has no descriptors left.
 * thread   any: it becomes the reactor's. */
LARIAT_API lariat_reactor *lariat_reactor_new(void);

/* Makes a reactor of the calling thread.
 *
 * options  filled by lariat_reactor_options_init, then changed; copied. The user data in it is the library's from
 *          here on, where a free function comes with it, also when this fails.
 * returns  the reactor, to be freed by lariat_reactor_free; NULL on failure.
 * errors   LARIAT_ERR_INVALID_ARGUMENT for a field that is not what its comment asks for, or that is set but unknown
 *          to this version of the library; LARIAT_ERR_OS when the system has no descriptors left.
 * thread   any: it becomes the reactor's; of a simulated one, the simulation's. */
LARIAT_API lariat_reactor *lariat_reactor_new_with_options(const lariat_reactor_options *options);

/* Ends a reactor and all that lives in it; every handle of it is stale from here on. Calls from threads that were
 * accepted before are made; Deferreds are cancelled; delayed calls, soon-calls, watchers and triggers only free their
 * user data; running jobs are waited for, shutdown_seconds at most. What ends is told before this returns.
 *
 * reactor  any, running or not; also one that answers LARIAT_ERR_PANIC.
 * errors   LARIAT_ERR_BUSY inside one of its callbacks: stop it there, free it when run has returned.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_reactor_free(lariat_reactor *reactor);

/* Moves an idle reactor to the calling thread, whose calls it takes from here on.
 *
 * reactor  not running, not inside a call of its thread.
 * errors   LARIAT_ERR_BUSY when it is used by its own thread just now; LARIAT_ERR_NOT_SUPPORTED when it is simulated.
 * thread   the one that wants it. */
LARIAT_API lariat_status lariat_reactor_adopt(lariat_reactor *reactor);

/* Runs the reactor until it is stopped: the start-up triggers, turn after turn, the shutdown triggers. It may run
 * again afterwards. A simulated one runs its whole simulation meanwhile.
 *
 * errors   LARIAT_ERR_REENTRANT inside one of its callbacks; LARIAT_ERR_INVALID_STATE with a manual clock;
 *          LARIAT_ERR_DEADLOCK when nothing can ever happen again in the simulation; LARIAT_ERR_OS when polling
 *          fails.
 * thread   the reactor's. All callbacks come from here.
 * Twisted  IReactorCore.run. */
LARIAT_API lariat_status lariat_reactor_run(lariat_reactor *reactor);

/* Runs the reactor until nothing is left that could call back, or until it is stopped. Delayed calls, soon-calls,
 * jobs and watchers with an interest count as left; Deferreds, locks and the like do not. No shutdown triggers run
 * unless it is stopped. With a manual clock it does what is due.
 *
 * errors  LARIAT_ERR_REENTRANT inside one of its callbacks; LARIAT_ERR_OS when polling fails.
 * thread  the reactor's. All callbacks come from here. */
LARIAT_API lariat_status lariat_reactor_run_until_idle(lariat_reactor *reactor);

/* Does a frame's share of work and never waits: at least one item, then items until the budget is spent. What is left
 * goes on in the next frame, in order. The first frame starts the reactor.
 *
 * budget_seconds  real time, 0 or more, or INFINITY for a whole turn.
 * returns         LARIAT_OK: a turn is complete; LARIAT_MORE: the budget ran out with work left; LARIAT_STOPPED: it
 *                 has stopped, and its shutdown triggers are done; negative: an error.
 * errors          LARIAT_ERR_REENTRANT inside one of its callbacks; LARIAT_ERR_OS when polling fails.
 * thread          the reactor's. Callbacks come from here. */
LARIAT_API lariat_status lariat_reactor_run_frame(lariat_reactor *reactor, double budget_seconds);

/* Makes one turn: calls from threads, soon-calls, due delayed calls, a poll, readiness. The first one starts the
 * reactor.
 *
 * max_wait_seconds  how long the poll may wait, 0 or more, or INFINITY. It waits only when there is nothing to do,
 *                   and never with a manual clock; of a simulation, it is simulated time.
 * returns           LARIAT_OK, or LARIAT_STOPPED when the reactor has stopped; negative: an error.
 * errors            LARIAT_ERR_REENTRANT inside one of its callbacks; LARIAT_ERR_OS when polling fails.
 * thread            the reactor's. Callbacks come from here.
 * Twisted           ReactorBase.iterate. */
LARIAT_API lariat_status lariat_reactor_iterate(lariat_reactor *reactor, double max_wait_seconds);

/* Asks a running reactor to stop: the turn in progress is finished, the shutdown triggers run, then run returns.
 *
 * errors   LARIAT_ERR_NOT_RUNNING before it has started, or when it was asked already.
 * thread   the reactor's; from others lariat_reactor_stop_from_thread.
 * Twisted  IReactorCore.stop. */
LARIAT_API lariat_status lariat_reactor_stop(lariat_reactor *reactor);

/* Asks a reactor to stop, as lariat_reactor_stop does, on its next turn. Nothing happens if it is not running then.
 *
 * returns  LARIAT_OK: the request is queued.
 * errors   LARIAT_ERR_CLOSED while it is being freed.
 * thread   any. */
LARIAT_API lariat_status lariat_reactor_stop_from_thread(lariat_reactor *reactor);

/* Makes run return after the turn in progress, without the shutdown triggers. The reactor may run again.
 *
 * errors   LARIAT_ERR_NOT_RUNNING before it has started.
 * thread   the reactor's.
 * Twisted  IReactorCore.crash. */
LARIAT_API lariat_status lariat_reactor_crash(lariat_reactor *reactor);

/* Tells whether the reactor is running: from the end of the start-up triggers to the end of the shutdown triggers,
 * whether it is driven by run, by frames or by iterate.
 *
 * returns  1 or 0; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_reactor_running(lariat_reactor *reactor);

/* Tells the time on the reactor's clock, which never goes back: only differences mean something.
 *
 * returns  seconds; NaN on failure. A manual or simulated clock starts at 0.
 * thread   the reactor's.
 * Twisted  IReactorTime.seconds. */
LARIAT_API double lariat_reactor_seconds(lariat_reactor *reactor);

/* Moves a manual clock, deadline by deadline, and makes at each the delayed calls that are due, with all that a turn
 * does. A call that it schedules within that time is made too.
 *
 * seconds  0 to 1e9.
 * errors   LARIAT_ERR_INVALID_STATE without a manual clock; LARIAT_ERR_REENTRANT inside one of its callbacks.
 * thread   the reactor's. Callbacks come from here.
 * Twisted  Clock.advance. */
LARIAT_API lariat_status lariat_reactor_advance(lariat_reactor *reactor, double seconds);

/* Tells how long a host that polls the backend descriptor itself may wait before it makes the next turn.
 *
 * returns  seconds: 0 when there is work now, INFINITY when only the descriptor can tell; NaN on failure.
 * thread   the reactor's. */
LARIAT_API double lariat_reactor_next_deadline(lariat_reactor *reactor);

/* Gives a descriptor that is readable whenever a turn would find something: for a host with an event loop of its own,
 * which then calls lariat_reactor_iterate with 0. On Linux delayed calls and queued calls make it readable too;
 * elsewhere lariat_reactor_next_deadline tells how long to wait at most.
 *
 * fd      written: the reactor's, not to be read from or closed.
 * errors  LARIAT_ERR_NOT_SUPPORTED on Windows and when simulated.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_reactor_backend_fd(lariat_reactor *reactor, lariat_socket *fd);

/* ---- Calls to be made by the reactor: soon, later, when it runs, from threads ------------------------------------ */

/* Calls fn(user_data) once, on the reactor's next turn, never from inside this call. Calls are made in the order in
 * which they were asked for.
 *
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_CLOSED while the reactor is being freed; it drops the calls that wait.
 * thread     the reactor's.
 * Twisted    IReactorTime.callLater with 0. */
LARIAT_API lariat_status lariat_reactor_call_soon(lariat_reactor *reactor, lariat_call_fn fn, void *user_data);

/* The same as lariat_reactor_call_soon, with user_data owned by the library from here on: free_user_data(user_data)
 * is called exactly once, after the call, when the call is dropped with its scope or reactor, or before this fails.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_reactor_call_soon_full(lariat_reactor *reactor, lariat_call_fn fn, void *user_data,
                                                       lariat_free_fn free_user_data);

/* The same as lariat_reactor_call_soon, but the next turn queues an event, LARIAT_EVENT_CALL, instead of calling.
 *
 * tag     any number; comes back in the event.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_reactor_call_soon_event(lariat_reactor *reactor, uint64_t tag);

/* Calls fn(user_data) once, on the reactor's thread, after at least so many seconds, never from inside this call.
 * Calls due at the same instant are made in the order in which they were scheduled; one scheduled from inside a call
 * waits for the next turn.
 *
 * seconds    0 to 1e9.
 * user_data  may be NULL; passed through.
 * returns    a handle that goes stale when the call has been made or cancelled; NULL on failure.
 * errors     LARIAT_ERR_LIMIT at options.max_delayed_calls.
 * thread     the reactor's.
 * Twisted    IReactorTime.callLater. */
LARIAT_API lariat_delayed_call *lariat_reactor_call_later(lariat_reactor *reactor, double seconds, lariat_call_fn fn,
                                                          void *user_data);

/* The same as lariat_reactor_call_later, with user_data owned by the library from here on: free_user_data(user_data)
 * is called exactly once, after the call, after its cancellation, when its scope ends, when the reactor is freed, or
 * before this returns NULL. Every function that keeps user_data has such a _full form.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_delayed_call *lariat_reactor_call_later_full(lariat_reactor *reactor, double seconds,
                                                               lariat_call_fn fn, void *user_data,
                                                               lariat_free_fn free_user_data);

/* The same as lariat_reactor_call_later, but queues an event, LARIAT_EVENT_DELAYED_CALL, instead of calling.
 *
 * tag     any number; comes back in the event.
 * thread  the reactor's. */
LARIAT_API lariat_delayed_call *lariat_reactor_call_later_event(lariat_reactor *reactor, double seconds, uint64_t tag);

/* Calls fn(user_data) once, when the reactor runs: at once, from inside this call, if it does, else after the
 * start-up triggers of its next start.
 *
 * user_data  may be NULL; passed through.
 * thread     the reactor's.
 * Twisted    IReactorCore.callWhenRunning. */
LARIAT_API lariat_status lariat_reactor_call_when_running(lariat_reactor *reactor, lariat_call_fn fn, void *user_data);

/* The same as lariat_reactor_call_when_running, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, after the call, when the call is dropped with its scope or
 * reactor, or before this fails.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_reactor_call_when_running_full(lariat_reactor *reactor, lariat_call_fn fn,
                                                               void *user_data, lariat_free_fn free_user_data);

/* The same as lariat_reactor_call_when_running, but queues an event, LARIAT_EVENT_CALL, instead of calling.
 *
 * tag     any number; comes back in the event.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_reactor_call_when_running_event(lariat_reactor *reactor, uint64_t tag);

/* Has fn(user_data) called once on the reactor's thread, on its next turn, which it wakes up for. Calls of one thread
 * are made in their order; none is lost or merged with another. From the reactor's own thread it waits for the next
 * turn as well.
 *
 * user_data  may be NULL; passed through.
 * returns    LARIAT_OK: the call is queued, and is made even if the reactor is freed before its next turn.
 * errors     LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
 * thread     any.
 * Twisted    IReactorFromThreads.callFromThread. */
LARIAT_API lariat_status lariat_reactor_call_from_thread(lariat_reactor *reactor, lariat_call_fn fn, void *user_data);

/* The same as lariat_reactor_call_from_thread, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once: after the call, on the reactor's thread, or before this fails, on
 * the calling thread.
 *
 * free_user_data  may be NULL.
 * thread          any. */
LARIAT_API lariat_status lariat_reactor_call_from_thread_full(lariat_reactor *reactor, lariat_call_fn fn,
                                                              void *user_data, lariat_free_fn free_user_data);

/* The same as lariat_reactor_call_from_thread, but the reactor's next turn queues an event, LARIAT_EVENT_CALL,
 * instead of calling.
 *
 * tag     any number; comes back in the event.
 * thread  any. */
LARIAT_API lariat_status lariat_reactor_call_from_thread_event(lariat_reactor *reactor, uint64_t tag);

/* Has before(user_data) called before each wait of the reactor that may block, and after(user_data) behind it: for a
 * host with a lock that other threads need meanwhile, such as an interpreter's. The waits are those for something to
 * happen, and those for jobs at the end of the reactor or of a scope. A wait inside of one of the two is not told.
 *
 * before     may be NULL if after is: then nobody is told any more.
 * after      called once for each call of before, also when the wait fails.
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_INVALID_ARGUMENT when one of the two is NULL and the other is not; LARIAT_ERR_BUSY inside of
 *            the two.
 * thread     the reactor's. The two may call whatever a callback may.
 * libev      ev_set_loop_release_cb. */
LARIAT_API lariat_status lariat_reactor_set_wait_callbacks(lariat_reactor *reactor, lariat_call_fn before,
                                                           lariat_call_fn after, void *user_data);

/* The same as lariat_reactor_set_wait_callbacks, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when others are set, when the reactor is freed, or before this
 * fails; at once, when both are NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_reactor_set_wait_callbacks_full(lariat_reactor *reactor, lariat_call_fn before,
                                                                lariat_call_fn after, void *user_data,
                                                                lariat_free_fn free_user_data);

/* Lists the delayed calls that wait, in no particular order.
 *
 * delayed_calls  written: as many handles as there are, and at most capacity; may be NULL if that is 0.
 * capacity       how many handles there is room for.
 * count          written: how many there are, which may be more.
 * thread         the reactor's.
 * Twisted        IReactorTime.getDelayedCalls. */
LARIAT_API lariat_status lariat_reactor_delayed_calls(lariat_reactor *reactor, lariat_delayed_call **delayed_calls,
                                                      size_t capacity, size_t *count);

/* ---- A delayed call, once it is scheduled ------------------------------------------------------------------------ */

/* Takes a delayed call back: it is not made, and its user data is freed.
 *
 * errors   LARIAT_ERR_ALREADY_CALLED inside the call itself, LARIAT_ERR_ALREADY_CANCELLED inside the free of its user
 *          data; LARIAT_ERR_STALE_HANDLE afterwards.
 * thread   the reactor's.
 * Twisted  IDelayedCall.cancel. */
LARIAT_API lariat_status lariat_delayed_call_cancel(lariat_delayed_call *delayed_call);

/* Has a delayed call made after so many seconds from now, whatever it was before. It counts as scheduled anew.
 *
 * seconds  0 to 1e9.
 * errors   as lariat_delayed_call_cancel.
 * thread   the reactor's.
 * Twisted  IDelayedCall.reset. */
LARIAT_API lariat_status lariat_delayed_call_reset(lariat_delayed_call *delayed_call, double seconds);

/* Has a delayed call made so many seconds later than it would be. It counts as scheduled anew.
 *
 * seconds  0 to 1e9.
 * errors   as lariat_delayed_call_cancel.
 * thread   the reactor's.
 * Twisted  IDelayedCall.delay. */
LARIAT_API lariat_status lariat_delayed_call_delay(lariat_delayed_call *delayed_call, double seconds);

/* Tells whether a delayed call still waits to be made.
 *
 * returns  1; 0 inside the call itself; negative: an error, LARIAT_ERR_STALE_HANDLE once it is over.
 * thread   the reactor's.
 * Twisted  IDelayedCall.active. */
LARIAT_API int32_t lariat_delayed_call_active(lariat_delayed_call *delayed_call);

/* Tells when a delayed call is to be made.
 *
 * returns  seconds on the clock of lariat_reactor_seconds; NaN on failure.
 * thread   the reactor's.
 * Twisted  IDelayedCall.getTime. */
LARIAT_API double lariat_delayed_call_time(lariat_delayed_call *delayed_call);

/* ---- System event triggers: what is done when the reactor starts and stops --------------------------------------- */

enum {
    /* First; Deferreds that these triggers return are waited for before the next phase. */
    LARIAT_TRIGGER_BEFORE = 0,
    /* Second. */
    LARIAT_TRIGGER_DURING = 1,
    /* Last. */
    LARIAT_TRIGGER_AFTER = 2,
    /* The reactor starts: run, or its first frame or turn. */
    LARIAT_TRIGGER_STARTUP = 0,
    /* The reactor was asked to stop. */
    LARIAT_TRIGGER_SHUTDOWN = 1,
};

/* Has fn(user_data) called once, in a phase of the reactor's next start or end. A failure of the Deferred that it
 * returns is logged, and the others go on.
 *
 * phase      LARIAT_TRIGGER_BEFORE, _DURING or _AFTER; within a phase, in the order of these calls.
 * event      LARIAT_TRIGGER_STARTUP or _SHUTDOWN.
 * user_data  may be NULL; passed through.
 * returns    a handle that goes stale when it has fired or was removed; NULL on failure.
 * thread     the reactor's.
 * Twisted    IReactorCore.addSystemEventTrigger. */
LARIAT_API lariat_trigger *lariat_reactor_add_system_event_trigger(lariat_reactor *reactor, int32_t phase,
                                                                   int32_t event, lariat_trigger_fn fn,
                                                                   void *user_data);

/* The same as lariat_reactor_add_system_event_trigger, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, after the call, when the trigger is removed, when its scope ends,
 * when the reactor is freed, or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_trigger *lariat_reactor_add_system_event_trigger_full(lariat_reactor *reactor, int32_t phase,
                                                                        int32_t event, lariat_trigger_fn fn,
                                                                        void *user_data, lariat_free_fn free_user_data);

/* The same as lariat_reactor_add_system_event_trigger, but queues an event, LARIAT_EVENT_TRIGGER, instead of calling.
 *
 * tag     any number; comes back in the event.
 * thread  the reactor's. */
LARIAT_API lariat_trigger *lariat_reactor_add_system_event_trigger_event(lariat_reactor *reactor, int32_t phase,
                                                                         int32_t event, uint64_t tag);

/* Takes a trigger back: it does not fire, and its user data is freed.
 *
 * errors   LARIAT_ERR_ALREADY_CALLED inside its own function.
 * thread   the reactor's.
 * Twisted  IReactorCore.removeSystemEventTrigger. */
LARIAT_API lariat_status lariat_trigger_remove(lariat_trigger *trigger);

/* ---- The thread pool, the jobs on it, and blocking calls from other threads -------------------------------------- */

/* Has the thread pool use so many threads at most. Threads start when there is work for them.
 *
 * size     0: 10.
 * thread   the reactor's.
 * Twisted  IReactorThreads.suggestThreadPoolSize. */
LARIAT_API lariat_status lariat_reactor_suggest_thread_pool_size(lariat_reactor *reactor, uint32_t size);

/* Calls fn(user_data) once, on a thread of the pool. On a simulated reactor the call comes on its loop.
 *
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_LIMIT at options.max_jobs; LARIAT_ERR_OS when no thread can be started.
 * thread     the reactor's. The call comes on another one.
 * Twisted    IReactorInThreads.callInThread. */
LARIAT_API lariat_status lariat_reactor_call_in_thread(lariat_reactor *reactor, lariat_call_fn fn, void *user_data);

/* The same as lariat_reactor_call_in_thread, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, on the reactor's thread: after the call, when it is not to be
 * made any more, or before this fails. If the call outlasts the reactor's free, it is freed on the pool thread.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_reactor_call_in_thread_full(lariat_reactor *reactor, lariat_call_fn fn, void *user_data,
                                                            lariat_free_fn free_user_data);

/* Calls fn(job, user_data) on a thread of the pool: what it returns or records is the result. On a simulated reactor
 * the call comes on its loop. Cancelling takes the job back if it does not run yet, else lets it ask.
 *
 * user_data  may be NULL; passed through.
 * returns    a Deferred that fires, on the reactor's thread, with what fn gives; NULL on failure.
 * errors     LARIAT_ERR_LIMIT at options.max_jobs or max_deferreds; LARIAT_ERR_OS when no thread can be started.
 * thread     the reactor's. The call comes on another one.
 * Twisted    threads.deferToThread. */
LARIAT_API lariat_deferred *lariat_reactor_defer_to_thread(lariat_reactor *reactor, lariat_job_fn fn, void *user_data);

/* The same as lariat_reactor_defer_to_thread, with user_data owned by the library from here on: freed as by
 * lariat_reactor_call_in_thread_full.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_deferred *lariat_reactor_defer_to_thread_full(lariat_reactor *reactor, lariat_job_fn fn,
                                                                void *user_data, lariat_free_fn free_user_data);

/* Makes a value the result of the running job, as its return value would be, but owned: free_value(value) is called
 * when the Deferred that it ends up in is reclaimed, unless somebody takes it, or before this fails. The last result
 * recorded wins.
 *
 * value       may be NULL; the library's from here on.
 * free_value  may be NULL.
 * returns     NULL, for the job to return.
 * errors      LARIAT_ERR_STALE_HANDLE outside of the job.
 * thread      the job's. */
LARIAT_API void *lariat_job_return(lariat_job *job, void *value, lariat_free_fn free_value);

/* Makes a failure the result of the running job. The last result recorded wins.
 *
 * code     not 0: negative one of lariat's, positive the program's own.
 * message  UTF-8, copied; may be NULL: the code's own text.
 * returns  NULL, for the job to return.
 * errors   LARIAT_ERR_STALE_HANDLE outside of the job.
 * thread   the job's. */
LARIAT_API void *lariat_job_fail(lariat_job *job, int32_t code, const char *message);

/* Tells a job whether anybody still wants its result: for long ones to ask now and then.
 *
 * returns  1 when its Deferred was cancelled, or its scope or reactor is ending; else 0; negative: an error.
 * errors   LARIAT_ERR_STALE_HANDLE outside of the job.
 * thread   the job's. */
LARIAT_API int32_t lariat_job_cancelled(lariat_job *job);

/* Has fn(reactor, user_data) called on the reactor's thread, and blocks until the Deferred that it returns gives
 * something.
 *
 * seconds    how long to wait at most, 0 or more, or INFINITY. fn is not called, or has returned, when this returns.
 * user_data  may be NULL; passed through.
 * value      written if this returns LARIAT_OK: the value, now the caller's.
 * returns    LARIAT_OK, or why not: the code of the Deferred's failure, which is positive if it is the program's own,
 *            with its message as the last error's.
 * errors     LARIAT_ERR_TIMED_OUT; LARIAT_ERR_INVALID_STATE on the reactor's own thread; LARIAT_ERR_CLOSED when the
 *            reactor is freed meanwhile.
 * thread     any but the reactor's.
 * Twisted    threads.blockingCallFromThread. */
LARIAT_API int32_t lariat_reactor_blocking_call(lariat_reactor *reactor, double seconds, lariat_blocking_fn fn,
                                                void *user_data, void **value);

/* ---- Watching descriptors ---------------------------------------------------------------------------------------- */

enum {
    /* There is something to read, a connection to accept, or an end or an error to find out about. */
    LARIAT_READABLE = 1,
    /* There is room to write, or an error to find out about. */
    LARIAT_WRITABLE = 2,
};

/* Watches a descriptor: calls fn on every turn in which it is ready for what the interest names.
 *
 * fd         stays its owner's, who stops the watcher before closing it. Not a regular file.
 * interest   LARIAT_READABLE, LARIAT_WRITABLE or both; 0: nothing yet.
 * user_data  may be NULL; passed through.
 * returns    a handle that is good until lariat_watcher_stop; NULL on failure.
 * errors     LARIAT_ERR_ALREADY_WATCHED by this reactor; LARIAT_ERR_OS for a descriptor that is closed, or cannot be
 *            watched; LARIAT_ERR_NOT_SUPPORTED on Windows, so far.
 * thread     the reactor's.
 * Twisted    IReactorFDSet.addReader and addWriter. */
LARIAT_API lariat_watcher *lariat_reactor_watch(lariat_reactor *reactor, lariat_socket fd, int32_t interest,
                                                lariat_ready_fn fn, void *user_data);

/* The same as lariat_reactor_watch, with user_data owned by the library from here on: free_user_data(user_data) is
 * called exactly once, when the watcher is stopped and its callback has returned, when its scope ends, when the
 * reactor is freed, or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_watcher *lariat_reactor_watch_full(lariat_reactor *reactor, lariat_socket fd, int32_t interest,
                                                     lariat_ready_fn fn, void *user_data,
                                                     lariat_free_fn free_user_data);

/* The same as lariat_reactor_watch, but queues an event, LARIAT_EVENT_READY, instead of calling. One event of a
 * watcher waits at a time: it is looked at again when the host has gone on to the next event.
 *
 * tag     any number; comes back in the event.
 * thread  the reactor's. */
LARIAT_API lariat_watcher *lariat_reactor_watch_event(lariat_reactor *reactor, lariat_socket fd, int32_t interest,
                                                      uint64_t tag);

/* Lists the watchers, in no particular order.
 *
 * watchers  written: as many handles as there are, and at most capacity; may be NULL if that is 0.
 * capacity  how many handles there is room for.
 * count     written: how many there are, which may be more.
 * thread    the reactor's.
 * Twisted   IReactorFDSet.getReaders and getWriters. */
LARIAT_API lariat_status lariat_reactor_watchers(lariat_reactor *reactor, lariat_watcher **watchers, size_t capacity,
                                                 size_t *count);

/* Has a watcher ask for something else.
 *
 * interest  LARIAT_READABLE, LARIAT_WRITABLE or both; 0: nothing, until it is set again.
 * errors    LARIAT_ERR_CLOSED once it was stopped; LARIAT_ERR_OS when its descriptor is closed.
 * thread    the reactor's. */
LARIAT_API lariat_status lariat_watcher_set_interest(lariat_watcher *watcher, int32_t interest);

/* Tells what a watcher asks for.
 *
 * returns  LARIAT_READABLE, LARIAT_WRITABLE, both or 0; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_watcher_interest(lariat_watcher *watcher);

/* Tells which descriptor a watcher watches.
 *
 * fd      written.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_watcher_descriptor(lariat_watcher *watcher, lariat_socket *fd);

/* Ends a watcher: it tells nothing more, also of what the present turn has found, and its handle is stale once its
 * callback has returned. The descriptor stays open.
 *
 * errors   LARIAT_ERR_CLOSED when it was stopped inside its callback already.
 * thread   the reactor's.
 * Twisted  IReactorFDSet.removeReader and removeWriter. */
LARIAT_API lariat_status lariat_watcher_stop(lariat_watcher *watcher);

/* ---- Watching signals -------------------------------------------------------------------------------------------- */

/* Watches a signal: calls fn from a turn of the loop after it has come. Any number of watches, of this reactor and of
 * others, may watch the same one; each is told. From the first watch of a signal to the last one's end the process has
 * a handler of the library's, which calls the one that was there before, and is replaced by that again; one that the
 * program sets meanwhile stays, and has to call the library's, or nothing is told. What the signal did by default it
 * does not do while it is watched. A child of fork has what there was before.
 *
 * A signal that comes again before its callback is made is told once; lariat_signal_watch_count counts all. A signal
 * that every thread has blocked does not come.
 *
 * number     the signal's, as SIGINT; not SIGKILL or SIGSTOP, which cannot be caught, nor SIGSEGV and the like, which
 *            say that the program is broken.
 * user_data  may be NULL; passed through.
 * returns    a handle that is good until lariat_signal_watch_stop; NULL on failure.
 * errors     LARIAT_ERR_NOT_SUPPORTED on Windows and when simulated; LARIAT_ERR_TOO_MANY_DESCRIPTORS; LARIAT_ERR_OS for
 *            a signal that the system keeps for itself.
 * thread     the reactor's. Which thread the signal comes to does not matter.
 * POSIX      sigaction. */
LARIAT_API lariat_signal_watch *lariat_reactor_watch_signal(lariat_reactor *reactor, int32_t number,
                                                            lariat_signal_fn fn, void *user_data);

/* The same as lariat_reactor_watch_signal, with user_data owned by the library from here on: free_user_data(user_data)
 * is called exactly once, when the watch is stopped and its callback has returned, when its scope ends, when the
 * reactor is freed, or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_signal_watch *lariat_reactor_watch_signal_full(lariat_reactor *reactor, int32_t number,
                                                                 lariat_signal_fn fn, void *user_data,
                                                                 lariat_free_fn free_user_data);

/* The same as lariat_reactor_watch_signal, but queues an event, LARIAT_EVENT_SIGNAL, instead of calling.
 *
 * tag     any number; comes back in the event.
 * thread  the reactor's. */
LARIAT_API lariat_signal_watch *lariat_reactor_watch_signal_event(lariat_reactor *reactor, int32_t number,
                                                                  uint64_t tag);

/* Waits for a signal, once.
 *
 * number   as of lariat_reactor_watch_signal.
 * returns  a Deferred that fires with the number, as a pointer, when the signal comes; cancelling it ends the watch.
 *          NULL on failure.
 * errors   as of lariat_reactor_watch_signal.
 * thread   the reactor's. */
LARIAT_API lariat_deferred *lariat_reactor_when_signal(lariat_reactor *reactor, int32_t number);

/* Has a signal stop the reactor, as lariat_reactor_stop does: through its shutdown triggers. One that comes while the
 * reactor does not run, or is stopping, changes nothing.
 *
 * number   as of lariat_reactor_watch_signal: SIGINT, SIGTERM.
 * returns  the watch, to be ended by lariat_signal_watch_stop, or with the reactor; NULL on failure.
 * errors   as of lariat_reactor_watch_signal.
 * thread   the reactor's.
 * Twisted  reactor.run(installSignalHandlers=True), which is not the default here. */
LARIAT_API lariat_signal_watch *lariat_reactor_stop_on_signal(lariat_reactor *reactor, int32_t number);

/* Tells which signal a watch watches.
 *
 * returns  its number; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_signal_watch_number(lariat_signal_watch *watch);

/* Tells how often the signal has come since it is watched, as far as turns have found out. The system makes one of
 * several that come while the first is not delivered; those from SIGRTMIN on come each.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_signal_watch_count(lariat_signal_watch *watch);

/* Ends a watch: it tells nothing more, also of what has come already, and its handle is stale once its callback has
 * returned. With the last watch of a signal in the process, the handler that was there before is in its place again.
 *
 * errors  LARIAT_ERR_CLOSED when it was stopped inside its callback already.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_signal_watch_stop(lariat_signal_watch *watch);

/* ---- Protocols: what a connection's owner wants to be told ------------------------------------------------------- */

/* What the owner of a connection wants to be told: to be filled by lariat_protocol_init, changed, and given to what
 * makes connections, which copies it. Every function may be NULL. */
typedef struct lariat_protocol {
    /* Set by lariat_protocol_init. */
    uint32_t struct_size;
    /* 1: what data_received does not consume by lariat_transport_consume comes again, with more behind it; 0: all that
     * it is given is consumed (default). */
    int32_t pull;
    /* The connection is there; called before everything else. */
    lariat_connection_made_fn connection_made;
    /* Bytes, or a frame, have come. */
    lariat_data_received_fn data_received;
    /* The connection is over; called once, after everything else, and only after connection_made. */
    lariat_connection_lost_fn connection_lost;
    /* The peer sends no more. With this or the next, one direction may end before the other; with neither, the end of
     * one ends both, once what was written is out. */
    lariat_half_closed_fn read_connection_lost;
    /* All is sent that was written before lariat_transport_lose_write_connection. */
    lariat_half_closed_fn write_connection_lost;
    /* Frees self; called once, in every outcome. */
    lariat_free_fn free_self;
} lariat_protocol;

/* Fills a protocol with nothing to be told.
 *
 * protocol     written.
 * struct_size  sizeof(lariat_protocol).
 * thread       any. */
LARIAT_API lariat_status lariat_protocol_init(lariat_protocol *protocol, uint32_t struct_size);

/* ---- Listeners --------------------------------------------------------------------------------------------------- */

/* Listens at an endpoint, and makes a transport of each connection that comes.
 *
 * endpoint        where: "tcp://127.0.0.1:80", "tcp://[::1]:0" (the system picks the port), "unix:///run/x.sock",
 *                 "unix-abstract://name", "systemd://name" (a socket that systemd has opened); * for the host of
 *                 tcp:// stands for all addresses, IPv6 and IPv4. Options follow a ?, with & between them:
 *                 backlog=1024, reuse_port=1, only_v6=1, no_delay=0, mode=660 (of a Unix socket's file). The file of
 *                 a Unix socket that nobody listens at any more is replaced, and removed with the listener.
 *                 "tls://127.0.0.1:853" and "https://[::1]" (port 443) have each connection begin with TLS, as by
 *                 lariat_reactor_listen_tls: certificate=FILE and private_key=FILE (PEM, which may be one file), for
 *                 clients' certificates client_ca=FILE and client_certificates=optional or required (which it is with
 *                 client_ca), alpn=h2,http/1.1, minimum_version=1.3, handshake_timeout=10 (seconds; 0: none),
 *                 key_log=FILE; in a file's path % and & are written as %25 and %26.
 * protocol        copied.
 * build_protocol  makes the self of each connection's protocol; may be NULL: self is user_data, and free_self is not
 *                 called.
 * user_data       may be NULL; passed through.
 * returns         a handle that is good until the Deferred of lariat_listener_stop has fired; NULL on failure.
 * errors          LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_ADDRESS_IN_USE, LARIAT_ERR_ADDRESS_NOT_AVAILABLE,
 *                 LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_TOO_MANY_DESCRIPTORS or LARIAT_ERR_OS as the system says;
 *                 LARIAT_ERR_NOT_FOUND and LARIAT_ERR_BAD_CERTIFICATE for files of TLS.
 * thread          the reactor's. All callbacks come from turns of the loop.
 * Twisted         IReactorTCP.listenTCP, IReactorUNIX.listenUNIX, serverFromString. */
LARIAT_API lariat_listener *lariat_reactor_listen(lariat_reactor *reactor, const char *endpoint,
                                                  const lariat_protocol *protocol,
                                                  lariat_build_protocol_fn build_protocol, void *user_data);

/* The same as lariat_reactor_listen, with user_data owned by the library from here on: free_user_data(user_data) is
 * called exactly once, when the listener is over and, where it is their self, with the last of its connections; or
 * before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_listener *lariat_reactor_listen_full(lariat_reactor *reactor, const char *endpoint,
                                                       const lariat_protocol *protocol,
                                                       lariat_build_protocol_fn build_protocol, void *user_data,
                                                       lariat_free_fn free_user_data);

/* The same as lariat_reactor_listen, but queues events instead of calling: LARIAT_EVENT_CONNECTION_MADE,
 * LARIAT_EVENT_DATA_RECEIVED and LARIAT_EVENT_CONNECTION_LOST. While the queue is full, nothing is read.
 *
 * endpoint  as for lariat_reactor_listen.
 * tag       any number; comes back in the events of all its connections.
 * thread    the reactor's. */
LARIAT_API lariat_listener *lariat_reactor_listen_event(lariat_reactor *reactor, const char *endpoint, uint64_t tag);

/* Accepts at a socket that listens already: inherited, or passed by another process.
 *
 * fd              a listening stream socket; the library's from here on if this succeeds, else untouched.
 * protocol        copied.
 * build_protocol  as for lariat_reactor_listen.
 * user_data       may be NULL; passed through.
 * returns         as lariat_reactor_listen does.
 * errors          LARIAT_ERR_INVALID_ARGUMENT for a descriptor that is something else; LARIAT_ERR_OS for one that is
 *                 not open.
 * thread          the reactor's.
 * Twisted         IReactorSocket.adoptStreamPort. */
LARIAT_API lariat_listener *lariat_reactor_adopt_listener(lariat_reactor *reactor, lariat_socket fd,
                                                          const lariat_protocol *protocol,
                                                          lariat_build_protocol_fn build_protocol, void *user_data);

/* The same as lariat_reactor_adopt_listener, with user_data owned by the library from here on, as by
 * lariat_reactor_listen_full.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_listener *lariat_reactor_adopt_listener_full(lariat_reactor *reactor, lariat_socket fd,
                                                               const lariat_protocol *protocol,
                                                               lariat_build_protocol_fn build_protocol, void *user_data,
                                                               lariat_free_fn free_user_data);

/* Listens no more: after this call nothing is accepted. Its connections live on.
 *
 * returns  a Deferred that fires, with NULL, once the socket is closed, from a turn of the loop; cancelling it changes
 *          nothing. NULL on failure.
 * errors   LARIAT_ERR_CLOSED when it was stopped before.
 * thread   the reactor's.
 * Twisted  IListeningPort.stopListening. */
LARIAT_API lariat_deferred *lariat_listener_stop(lariat_listener *listener);

/* Tells the port that it listens at, also the one that the system picked.
 *
 * returns  1 to 65535; 0: it has none, being a Unix socket; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_listener_port(lariat_listener *listener);

/* Tells where it listens, as an endpoint: "tcp://127.0.0.1:8080", "tls://127.0.0.1:8443", "unix:///run/x.sock".
 *
 * text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
 * capacity  how many bytes there is room for.
 * length    written: how many bytes the whole text has, without the NUL; may be NULL.
 * errors    LARIAT_ERR_TOO_LONG when there was not enough room.
 * thread    the reactor's.
 * Twisted   IListeningPort.getHost. */
LARIAT_API lariat_status lariat_listener_address(lariat_listener *listener, char *text, size_t capacity,
                                                 size_t *length);

/* Tells the descriptor of a listener, for what the library has no call for: an option of the socket, a query.
 *
 * fd      written: stays the library's, not to be read from, written to or closed; good until it is stopped.
 * errors  LARIAT_ERR_CLOSED once it was stopped; LARIAT_ERR_NOT_SUPPORTED by a simulated reactor.
 * thread  the reactor's.
 * Twisted ISystemHandle.getHandle. */
LARIAT_API lariat_status lariat_listener_descriptor(lariat_listener *listener, lariat_socket *fd);

/* Accepts no more until lariat_listener_resume; who connects meanwhile waits in the backlog.
 *
 * errors   LARIAT_ERR_CLOSED once it was stopped.
 * thread   the reactor's.
 * Twisted  IPushProducer.pauseProducing of a port. */
LARIAT_API lariat_status lariat_listener_pause(lariat_listener *listener);

/* Accepts again.
 *
 * errors  LARIAT_ERR_CLOSED once it was stopped.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_listener_resume(lariat_listener *listener);

/* Sets what becomes of those who connect when the process has no descriptors left.
 *
 * on      1: they are taken and closed at once, for which a descriptor is kept; 0: they wait in the backlog until there
 *         are some (default).
 * errors  LARIAT_ERR_CLOSED once it was stopped; LARIAT_ERR_TOO_MANY_DESCRIPTORS when none can be kept.
 * thread  the reactor's.
 * Twisted what its ports do. */
LARIAT_API lariat_status lariat_listener_set_turns_away(lariat_listener *listener, int32_t on);

/* Limits the connections that a listener has at once. Who comes then waits in the backlog until one has ended.
 *
 * connections  at most so many; 0: no limit (default).
 * errors       LARIAT_ERR_CLOSED once it was stopped.
 * thread       the reactor's. */
LARIAT_API lariat_status lariat_listener_set_max_connections(lariat_listener *listener, uint32_t connections);

/* Limits the connections that a listener has at once from one IP address. One more is closed at once; those accepted
 * before the limit was set are not counted.
 *
 * connections  at most so many; 0: no limit (default).
 * errors       LARIAT_ERR_CLOSED once it was stopped.
 * thread       the reactor's. */
LARIAT_API lariat_status lariat_listener_set_max_connections_per_peer(lariat_listener *listener, uint32_t connections);

/* Tells how many connections of a listener there are.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_listener_connections(lariat_listener *listener);

/* Tells which listener a connection came from.
 *
 * returns  its listener, maybe stale; NULL of a client's connection, and on failure.
 * thread   the reactor's. */
LARIAT_API lariat_listener *lariat_transport_listener(lariat_transport *transport);

/* ---- Connecting -------------------------------------------------------------------------------------------------- */

/* Connects to an endpoint. A name is looked up without holding up anything else, and all its addresses are tried,
 * IPv6 and IPv4 by turns, until one answers.
 *
 * endpoint  where to: "tcp://example.org:80", "tcp://[::1]:80", "unix:///run/x.sock", "unix-abstract://name"; options
 *           follow a ?, with & between them: timeout=30 (seconds, for all of it), bind=127.0.0.1:0, no_delay=0;
 *           of what it binds itself to, reuse_address=0 and reuse_port=1.
 *           "tls://example.org:853" and "https://example.org" (port 443) begin with TLS, as by lariat_reactor_connect_tls:
 *           the server's certificate must be for that name, and issued by whom the system trusts, or by ca=FILE (PEM);
 *           server_name=NAME, alpn=h2,http/1.1, pin=SHA-256, minimum_version=1.3, handshake_timeout=10 (seconds; 0:
 *           none), certificate=FILE and private_key=FILE to be shown, key_log=FILE, insecure_no_verification=1. Those
 *           that connect often have a configuration, which remembers sessions.
 * protocol  copied; its connection_made is called before the Deferred fires.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   a Deferred that fires with the connection, a lariat_transport; cancelling it gives up. NULL on failure.
 * errors    LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_NOT_FOUND and LARIAT_ERR_BAD_CERTIFICATE for files of TLS. The Deferred fails with LARIAT_ERR_NAME_NOT_FOUND, LARIAT_ERR_LOOKUP_FAILED,
 *           LARIAT_ERR_CONNECTION_REFUSED, LARIAT_ERR_UNREACHABLE, LARIAT_ERR_TIMED_OUT or LARIAT_ERR_CONNECT_FAILED;
 *           its message names the host, and what each of its addresses answered; with TLS also as
 *           lariat_reactor_connect_tls does.
 * thread    the reactor's. Nothing is called from inside this call.
 * Twisted   IReactorTCP.connectTCP, HostnameEndpoint, clientFromString; RFC 8305. */
LARIAT_API lariat_deferred *lariat_reactor_connect(lariat_reactor *reactor, const char *endpoint,
                                                   const lariat_protocol *protocol, void *self);

/* The same as lariat_reactor_connect, but queues events instead of calling: LARIAT_EVENT_CONNECTION_MADE,
 * LARIAT_EVENT_DATA_RECEIVED and LARIAT_EVENT_CONNECTION_LOST. While the queue is full, nothing is read.
 *
 * endpoint  as for lariat_reactor_connect.
 * tag       any number; comes back in the events.
 * returns   as lariat_reactor_connect does.
 * thread    the reactor's. */
LARIAT_API lariat_deferred *lariat_reactor_connect_event(lariat_reactor *reactor, const char *endpoint, uint64_t tag);

/* The same as lariat_reactor_connect with a socket that was made elsewhere: bound, or with options of its own.
 *
 * fd        a stream socket that is not connected; the library's from here on if this succeeds, else untouched.
 * endpoint  an address: "tcp://192.0.2.1:80", "tcp://[::1]:80", "unix:///run/x.sock"; nothing is looked up. Options as
 *           of lariat_reactor_connect, but for bind.
 * protocol  copied; its connection_made is called before the Deferred fires.
 * self      as of lariat_reactor_connect.
 * returns   as lariat_reactor_connect does.
 * errors    LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_INVALID_ARGUMENT for a descriptor that is something else;
 *           LARIAT_ERR_OS for one that is not open; LARIAT_ERR_NOT_SUPPORTED by a simulated reactor.
 * thread    the reactor's. Nothing is called from inside this call. */
LARIAT_API lariat_deferred *lariat_reactor_connect_socket(lariat_reactor *reactor, lariat_socket fd,
                                                          const char *endpoint, const lariat_protocol *protocol,
                                                          void *self);

/* Makes a connection of a socket that is connected already: one of a socketpair, or one that was passed on.
 *
 * fd        a connected stream socket; the library's from here on if this succeeds, else untouched.
 * protocol  copied; its connection_made is called by the next turn.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   the connection; NULL on failure.
 * errors    LARIAT_ERR_INVALID_ARGUMENT for a descriptor that is something else.
 * thread    the reactor's.
 * Twisted   IReactorSocket.adoptStreamConnection. */
LARIAT_API lariat_transport *lariat_reactor_adopt_stream(lariat_reactor *reactor, lariat_socket fd,
                                                         const lariat_protocol *protocol, void *self);

/* ---- Streams that are no sockets: pipes, terminals, devices, the standard streams -------------------------------- */

/* Makes a stream of a descriptor: a pipe, a named pipe, a terminal or the master of one, a socket, a device, a regular
 * file. It is a transport like any other; what it cannot do, such as telling its address, is LARIAT_ERR_NOT_SUPPORTED.
 *
 * A stream that is only read ends with LARIAT_CONNECTION_DONE when there is nothing more to read. One that is only
 * written ends when lariat_transport_lose_connection was called and all is written; a pipe that nobody reads any more
 * ends with LARIAT_CONNECTION_DONE if all that was written was read, else with LARIAT_ERR_CONNECTION_LOST.
 *
 * Others who share the description find it as it was: O_NONBLOCK is not set on it. SIGPIPE is never raised.
 *
 * fd        the library's from here on if this succeeds, else untouched.
 * ways      LARIAT_READABLE, LARIAT_WRITABLE or both.
 * protocol  copied; its connection_made is called by the next turn.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   the stream; NULL on failure.
 * errors    LARIAT_ERR_INVALID_ARGUMENT for a directory, a socket that listens or is for datagrams, or one that is not
 *           open for what ways says; LARIAT_ERR_OS for one that is not open; LARIAT_ERR_NOT_SUPPORTED on Windows, and by a
 *           simulated reactor.
 * thread    the reactor's.
 * Twisted   IReactorProcess's and StandardIO's ProcessReader and ProcessWriter. */
LARIAT_API lariat_transport *lariat_reactor_adopt_descriptor(lariat_reactor *reactor, lariat_socket fd, int32_t ways,
                                                             const lariat_protocol *protocol, void *self);

/* The same as lariat_reactor_adopt_descriptor, but queues events instead of calling: LARIAT_EVENT_CONNECTION_MADE,
 * LARIAT_EVENT_DATA_RECEIVED and LARIAT_EVENT_CONNECTION_LOST. While the queue is full, nothing is read.
 *
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_transport *lariat_reactor_adopt_descriptor_event(lariat_reactor *reactor, lariat_socket fd,
                                                                   int32_t ways, uint64_t tag);

/* Makes a stream of what the standard input of the process is: a terminal, a pipe, a socket, a regular file, /dev/null.
 * Number 0 stays the process's own, and blocks as before; what is read here is gone from there.
 *
 * protocol  copied; its connection_made is called by the next turn.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   the stream, which is only read; NULL on failure.
 * errors    LARIAT_ERR_OS when it is not open; LARIAT_ERR_INVALID_ARGUMENT when it is a directory; LARIAT_ERR_NOT_SUPPORTED
 *           on Windows, and by a simulated reactor.
 * thread    the reactor's.
 * Twisted   StandardIO. */
LARIAT_API lariat_transport *lariat_reactor_open_standard_input(lariat_reactor *reactor,
                                                                const lariat_protocol *protocol, void *self);

/* The same as lariat_reactor_open_standard_input, but queues events instead of calling, as
 * lariat_reactor_adopt_descriptor_event does.
 *
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_transport *lariat_reactor_open_standard_input_event(lariat_reactor *reactor, uint64_t tag);

/* Makes a stream of what the standard output of the process is. Number 1 stays the process's own, and open, so that
 * whoever reads it sees its end when the process ends. What is written here and by printf goes out in no set order.
 *
 * protocol  copied; its connection_made is called by the next turn.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   the stream, which is only written; NULL on failure.
 * errors    as of lariat_reactor_open_standard_input.
 * thread    the reactor's.
 * Twisted   StandardIO. */
LARIAT_API lariat_transport *lariat_reactor_open_standard_output(lariat_reactor *reactor,
                                                                 const lariat_protocol *protocol, void *self);

/* The same as lariat_reactor_open_standard_output, but queues events instead of calling.
 *
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_transport *lariat_reactor_open_standard_output_event(lariat_reactor *reactor, uint64_t tag);

/* The same as lariat_reactor_open_standard_output, for the standard error, which is number 2.
 *
 * protocol  copied; its connection_made is called by the next turn.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   the stream, which is only written; NULL on failure.
 * errors    as of lariat_reactor_open_standard_input.
 * thread    the reactor's. */
LARIAT_API lariat_transport *lariat_reactor_open_standard_error(lariat_reactor *reactor,
                                                                const lariat_protocol *protocol, void *self);

/* The same as lariat_reactor_open_standard_error, but queues events instead of calling.
 *
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_transport *lariat_reactor_open_standard_error_event(lariat_reactor *reactor, uint64_t tag);

enum {
    /* Of a named pipe that is read: goes on when those who wrote have closed it, and waits for others. */
    LARIAT_PIPE_KEEP_OPEN = 4,
};

/* Opens a named pipe. One that is read opens at once; it ends when there were writers and the last has closed it, unless
 * LARIAT_PIPE_KEEP_OPEN is given. One that is written needs somebody who reads it.
 *
 * path      the system's own bytes.
 * ways      LARIAT_READABLE, which LARIAT_PIPE_KEEP_OPEN may join, or LARIAT_WRITABLE.
 * protocol  copied; its connection_made is called by the next turn.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   the stream; NULL on failure.
 * errors    LARIAT_ERR_OS with the system's word: there is none, or nobody reads it (ENXIO);
 *           LARIAT_ERR_INVALID_ARGUMENT for what is no named pipe; LARIAT_ERR_PERMISSION_DENIED;
 *           LARIAT_ERR_NOT_SUPPORTED on Windows, and by a simulated reactor.
 * thread    the reactor's.
 * POSIX     mkfifo. */
LARIAT_API lariat_transport *lariat_reactor_open_pipe(lariat_reactor *reactor, const char *path, int32_t ways,
                                                      const lariat_protocol *protocol, void *self);

/* The same as lariat_reactor_open_pipe, but queues events instead of calling, as lariat_reactor_adopt_descriptor_event
 * does.
 *
 * path    as for lariat_reactor_open_pipe.
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_transport *lariat_reactor_open_pipe_event(lariat_reactor *reactor, const char *path, int32_t ways,
                                                            uint64_t tag);

/* Makes a named pipe.
 *
 * path    where: the system's own bytes.
 * mode    its permissions, such as 0600, less what the umask takes away.
 * errors  LARIAT_ERR_OS with the system's word, such as that there is something already; LARIAT_ERR_PERMISSION_DENIED;
 *         LARIAT_ERR_NOT_SUPPORTED on Windows, and by a simulated reactor.
 * thread  the reactor's.
 * POSIX   mkfifo. */
LARIAT_API lariat_status lariat_reactor_make_pipe(lariat_reactor *reactor, const char *path, uint32_t mode);

/* Opens a file as a stream that is read to its end, or written. What the kernel has at hand is read at once, the rest by
 * the thread pool, and so is all that is written: a slow disk holds up nothing else. As with any stream, pausing,
 * producers, framing and limits of rate hold; after lariat_transport_lose_connection the end comes when all is written, or
 * with the reason why it is not.
 *
 * path      the system's own bytes.
 * flags     LARIAT_FILE_READ; or LARIAT_FILE_WRITE or LARIAT_FILE_APPEND, with LARIAT_FILE_CREATE, _EXCLUSIVE and
 *           _TRUNCATE; a file that is made has the permissions 0666, less what the umask takes away.
 * offset    bytes from the beginning, where it starts; 0 with LARIAT_FILE_APPEND.
 * protocol  copied; its connection_made is called by the next turn.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   the stream; NULL on failure.
 * errors    LARIAT_ERR_OS with the system's word, such as that there is none; LARIAT_ERR_PERMISSION_DENIED;
 *           LARIAT_ERR_INVALID_ARGUMENT for a directory; LARIAT_ERR_NOT_SUPPORTED on Windows, and by a simulated reactor.
 * thread    the reactor's.
 * Twisted   FileSender, and FTP's file consumers. */
LARIAT_API lariat_transport *lariat_reactor_open_file_stream(lariat_reactor *reactor, const char *path, int32_t flags,
                                                             uint64_t offset, const lariat_protocol *protocol,
                                                             void *self);

/* The same as lariat_reactor_open_file_stream, but queues events instead of calling, as
 * lariat_reactor_adopt_descriptor_event does.
 *
 * path    as for lariat_reactor_open_file_stream.
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_transport *lariat_reactor_open_file_stream_event(lariat_reactor *reactor, const char *path,
                                                                   int32_t flags, uint64_t offset, uint64_t tag);

/* ---- Terminals: sizes, and how they hand on what is typed -------------------------------------------------------- */

enum {
    /* As the terminal was found: by lines, echoed, most likely. */
    LARIAT_TERMINAL_COOKED = 0,
    /* Byte by byte, nothing looked at, nothing changed in either direction: Ctrl-C is a byte like any other. */
    LARIAT_TERMINAL_RAW = 1,
    /* Byte by byte, not echoed; Ctrl-C and the like still make signals, and what is written is changed as before. */
    LARIAT_TERMINAL_KEYS = 2,
};

/* Tells whether a stream is a terminal, or the master of one.
 *
 * returns  1 or 0; negative: an error.
 * errors   LARIAT_ERR_CLOSED when it is over.
 * thread   the reactor's.
 * POSIX    isatty. */
LARIAT_API int32_t lariat_transport_is_terminal(lariat_transport *transport);

/* Tells the size of a terminal. It changes with SIGWINCH.
 *
 * columns  written; 0: not known; may be NULL.
 * rows     written; 0: not known; may be NULL.
 * errors   LARIAT_ERR_NOT_SUPPORTED for what is no terminal; LARIAT_ERR_CLOSED when it is over.
 * thread   the reactor's.
 * POSIX    tcgetwinsize. */
LARIAT_API lariat_status lariat_transport_terminal_size(lariat_transport *transport, uint16_t *columns, uint16_t *rows);

/* Sets the size of a terminal: of the master of one, most often. Those who use it get SIGWINCH.
 *
 * columns  how many characters a line has.
 * rows     how many lines there are.
 * errors   LARIAT_ERR_NOT_SUPPORTED for what is no terminal; LARIAT_ERR_CLOSED when it is over.
 * thread   the reactor's.
 * POSIX    tcsetwinsize. */
LARIAT_API lariat_status lariat_transport_set_terminal_size(lariat_transport *transport, uint16_t columns,
                                                            uint16_t rows);

/* Sets how a terminal hands on what is typed. It is put back as it was found when the stream ends, when its reactor
 * stops or is freed, and when the process exits; not when a signal or _exit ends it: see lariat_terminal_restore. When
 * several streams have changed one terminal, the last of them puts it back.
 *
 * mode    LARIAT_TERMINAL_COOKED, LARIAT_TERMINAL_RAW or LARIAT_TERMINAL_KEYS.
 * errors  LARIAT_ERR_NOT_SUPPORTED for what is no terminal, or the master of one; LARIAT_ERR_OS as the system says;
 *         LARIAT_ERR_CLOSED when it is over.
 * thread  the reactor's.
 * POSIX   tcsetattr. */
LARIAT_API lariat_status lariat_transport_set_terminal_mode(lariat_transport *transport, int32_t mode);

/* Puts all terminals and serial ports that the process has changed back as they were found. For a handler of a signal that
 * ends the process: it is safe there.
 *
 * returns  LARIAT_OK.
 * thread   any. */
LARIAT_API lariat_status lariat_terminal_restore(void);

/* ---- Serial ports ------------------------------------------------------------------------------------------------ */

enum {
    LARIAT_PARITY_NONE = 0, /* No parity bit. */
    LARIAT_PARITY_ODD = 1,  /* The number of ones is odd. */
    LARIAT_PARITY_EVEN = 2, /* The number of ones is even. */
};

enum {
    LARIAT_FLOW_NONE = 0,     /* Nobody is told to wait. */
    LARIAT_FLOW_HARDWARE = 1, /* By the lines RTS and CTS. */
    LARIAT_FLOW_SOFTWARE = 2, /* By the characters XON and XOFF, which the data must not have. */
};

enum {
    LARIAT_LINE_DTR = 1, /* Data terminal ready: ours to set. */
    LARIAT_LINE_RTS = 2, /* Request to send: ours to set. */
    LARIAT_LINE_CTS = 4, /* Clear to send. */
    LARIAT_LINE_DSR = 8, /* Data set ready. */
    LARIAT_LINE_RI = 16, /* Ring indicator. */
    LARIAT_LINE_CD = 32, /* Carrier detect. */
};

/* How a serial port is set: to be filled by lariat_serial_options_init, and changed. */
typedef struct lariat_serial_options {
    uint32_t struct_size; /* Set by lariat_serial_options_init. */
    uint32_t speed;       /* Bits in a second (9600). */
    int32_t data_bits;    /* 5, 6, 7 or 8 (default). */
    int32_t parity;       /* LARIAT_PARITY_NONE (default), LARIAT_PARITY_ODD or LARIAT_PARITY_EVEN. */
    int32_t stop_bits;    /* 1 (default) or 2. */
    int32_t flow_control; /* LARIAT_FLOW_NONE (default), LARIAT_FLOW_HARDWARE or LARIAT_FLOW_SOFTWARE. */
} lariat_serial_options;

/* Fills the options with 9600 bits in a second, 8 data bits, no parity, 1 stop bit, and no flow control.
 *
 * options      written.
 * struct_size  sizeof(lariat_serial_options).
 * thread       any. */
LARIAT_API lariat_status lariat_serial_options_init(lariat_serial_options *options, uint32_t struct_size);

/* Opens a serial port, for this process alone. The bytes go through unchanged. When the stream ends, or the process exits,
 * the port is set as it was found.
 *
 * path      "/dev/ttyUSB0": the system's own bytes.
 * options   copied; may be NULL: as lariat_serial_options_init fills them.
 * protocol  copied; its connection_made is called by the next turn.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   the stream; NULL on failure.
 * errors    LARIAT_ERR_OS with the system's word: there is none, or somebody has it (EBUSY);
 *           LARIAT_ERR_INVALID_ARGUMENT for what is no serial port; LARIAT_ERR_NOT_SUPPORTED for what it does not take,
 *           on Windows, and by a simulated reactor; LARIAT_ERR_PERMISSION_DENIED.
 * thread    the reactor's.
 * Twisted   SerialPort. */
LARIAT_API lariat_transport *lariat_reactor_open_serial_port(lariat_reactor *reactor, const char *path,
                                                             const lariat_serial_options *options,
                                                             const lariat_protocol *protocol, void *self);

/* The same as lariat_reactor_open_serial_port, but queues events instead of calling, as
 * lariat_reactor_adopt_descriptor_event does.
 *
 * path     as for lariat_reactor_open_serial_port.
 * options  as for lariat_reactor_open_serial_port.
 * tag      any number; comes back in the events.
 * thread   the reactor's. */
LARIAT_API lariat_transport *lariat_reactor_open_serial_port_event(lariat_reactor *reactor, const char *path,
                                                                   const lariat_serial_options *options, uint64_t tag);

/* Sets a serial port anew.
 *
 * options  copied.
 * errors   LARIAT_ERR_NOT_SUPPORTED for what the port does not take, and for what is no serial port that was opened as one;
 *          LARIAT_ERR_CLOSED when it is over.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_transport_set_serial(lariat_transport *transport, const lariat_serial_options *options);

/* Tells which lines of a serial port are on, beside the data.
 *
 * lines   written: LARIAT_LINE_DTR and so on, added up.
 * errors  LARIAT_ERR_NOT_SUPPORTED for what is no serial port; LARIAT_ERR_OS for one that has no lines.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_transport_serial_lines(lariat_transport *transport, uint32_t *lines);

/* Turns lines of a serial port on and off; the others stay as they are.
 *
 * raised   LARIAT_LINE_DTR and LARIAT_LINE_RTS, added up.
 * lowered  the same, and none of those of raised.
 * errors   as of lariat_transport_serial_lines.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_transport_set_serial_lines(lariat_transport *transport, uint32_t raised,
                                                           uint32_t lowered);

/* ---- How a child process is started ------------------------------------------------------------------------------ */

enum {
    /* The program is searched for in PATH, if its name has no slash: in that of its environment, if it gets one. */
    LARIAT_PROCESS_SEARCH_PATH = 1,
    /* It leads a session of its own, and so a process group, too: setsid. */
    LARIAT_PROCESS_NEW_SESSION = 2,
    /* It leads a process group of its own: setpgid. */
    LARIAT_PROCESS_NEW_GROUP = 4,
    /* Its descriptors 0, 1 and 2 are a pseudo-terminal of columns and rows, which is the terminal of a session of its own.
     */
    LARIAT_PROCESS_TERMINAL = 8,
    /* Its group ends with it: what is left of it is killed as soon as the process has ended, and signals of
     * lariat_process_terminate and of the time limit go to all of it. With LARIAT_PROCESS_NEW_GROUP, _NEW_SESSION or
     * _TERMINAL only. */
    LARIAT_PROCESS_KILL_GROUP = 16,
    /* It is killed when its scope or its reactor ends. Without this it goes on, its pipes closed. */
    LARIAT_PROCESS_KILL_AT_END = 32,
};

enum {
    /* A pipe that the child reads. */
    LARIAT_DESCRIPTOR_PIPE_IN = 1,
    /* A pipe that the child writes. */
    LARIAT_DESCRIPTOR_PIPE_OUT = 2,
    /* The same as fd is here; 0, 1 and 2 are the standard streams. */
    LARIAT_DESCRIPTOR_INHERIT = 3,
    /* The null device: reads end at once, writes go nowhere. */
    LARIAT_DESCRIPTOR_NULL = 4,
    /* The file at path, which the child reads. */
    LARIAT_DESCRIPTOR_FILE_READ = 5,
    /* The file at path, made or emptied, which the child writes. */
    LARIAT_DESCRIPTOR_FILE_WRITE = 6,
    /* The file at path, made if it is not there, which the child writes at its end. */
    LARIAT_DESCRIPTOR_FILE_APPEND = 7,
};

/* What a descriptor of a child is. Fixed for ever. */
typedef struct lariat_process_descriptor {
    int32_t child_fd; /* Its number in the child, 0 to 65535. */
    int32_t kind;     /* LARIAT_DESCRIPTOR_PIPE_IN and so on. */
    lariat_socket fd; /* Of LARIAT_DESCRIPTOR_INHERIT: a descriptor of the host, which stays its own. */
    const char *path; /* Of a file: where it is; else not looked at. */
} lariat_process_descriptor;

/* How a child process is started: to be filled by lariat_process_options_init, changed, and given to what starts
 * processes, which copies it. Paths, arguments and environment are the system's own bytes. */
typedef struct lariat_process_options {
    /* Set by lariat_process_options_init. */
    uint32_t struct_size;
    /* LARIAT_PROCESS_SEARCH_PATH and so on, together; default 0. */
    uint32_t flags;
    /* The program's path; must be set. One without a leading slash is looked for from directory. */
    const char *program;
    /* What it gets, its own name first; ended by NULL. May be NULL: its name alone. */
    const char *const *arguments;
    /* "NAME=value" each, ended by NULL. May be NULL: the host's environment. */
    const char *const *environment;
    /* Where it begins. May be NULL: where the host is. */
    const char *directory;
    /* The user that it becomes; -1: the host's (default). With this or gid it is in no other groups any more. */
    int64_t uid;
    /* The group that it becomes one of; -1: the host's (default). */
    int64_t gid;
    /* Of its terminal; 0: not said. */
    uint16_t columns;
    /* Of its terminal; 0: not said. */
    uint16_t rows;
    /* 0. */
    uint32_t reserved;
    /* Its descriptors. May be NULL if descriptor_count is 0: then 0 is a pipe that it reads, and 1 and 2 are pipes that
     * it writes; or, with a terminal, that. Of 0, 1 and 2 those that are not given are the null device. It has no
     * others. */
    const lariat_process_descriptor *descriptors;
    /* How many they are. */
    size_t descriptor_count;
    /* After so many seconds it is ended as by lariat_process_terminate, and its pipes are closed; INFINITY: no limit
     * (default). */
    double time_limit;
    /* How many seconds the time limit, and a cancelled run, give it to end by itself before it is killed; INFINITY: it
     * is never killed; default 5. */
    double kill_after;
} lariat_process_options;

/* Fills the options of a process with their defaults.
 *
 * options      written.
 * struct_size  sizeof(lariat_process_options).
 * thread       any. */
LARIAT_API lariat_status lariat_process_options_init(lariat_process_options *options, uint32_t struct_size);

/* ---- What the owner of a child process wants to be told ---------------------------------------------------------- */

/* Told that a process runs, on the reactor's thread.
 *
 * process  the process.
 * self     as given when it was started. */
typedef void (*lariat_process_fn)(lariat_process *process, void *self);

/* Told that a process has written something, on the reactor's thread.
 *
 * process   the process.
 * child_fd  where it has written: 1 is its standard output, 2 its standard error; 1 of a terminal.
 * data      len bytes, until the function returns.
 * len       at least 1; of a frame also 0.
 * self      as given when it was started. */
typedef void (*lariat_child_data_received_fn)(lariat_process *process, int32_t child_fd, const uint8_t *data,
                                              size_t len, void *self);

/* Told that a pipe of a process is closed, by either side, on the reactor's thread; once for each pipe.
 *
 * process   the process, which may still run.
 * child_fd  the number that the pipe has there; 1 of a terminal.
 * reason    LARIAT_CONNECTION_DONE; else why. Valid until the function returns, unless kept.
 * self      as given when it was started. */
typedef void (*lariat_child_connection_lost_fn)(lariat_process *process, int32_t child_fd, const lariat_failure *reason,
                                                void *self);

/* Told that a process has ended, on the reactor's thread, never from inside the call that ended it, but for the free of
 * the reactor and the end of a scope.
 *
 * process  the process: for lariat_process_exit_code and lariat_process_exit_signal.
 * reason   LARIAT_PROCESS_DONE: it has ended with code 0; LARIAT_ERR_PROCESS_TERMINATED: with another code, or by a
 *          signal; LARIAT_ERR_TIMED_OUT: at its time limit; LARIAT_ERR_STATUS_UNKNOWN: somebody else has waited for it;
 *          LARIAT_ERR_CLOSED: its scope or its reactor ends. Valid until the function returns, unless kept.
 * self     as given when it was started. */
typedef void (*lariat_process_over_fn)(lariat_process *process, const lariat_failure *reason, void *self);

/* What the owner of a process wants to be told: to be filled by lariat_process_protocol_init, changed, and given to
 * lariat_reactor_spawn, which copies it. Every function may be NULL.
 *
 * Twisted  IProcessProtocol. */
typedef struct lariat_process_protocol {
    /* Set by lariat_process_protocol_init. */
    uint32_t struct_size;
    /* 0. */
    uint32_t reserved;
    /* The process runs; comes first, from the loop. */
    lariat_process_fn connection_made;
    /* It has written something. */
    lariat_child_data_received_fn child_data_received;
    /* A pipe of it is closed. */
    lariat_child_connection_lost_fn child_connection_lost;
    /* It has ended; some of its pipes may still be open, and hold what it has written, or be another's, too. Comes once.
     */
    lariat_process_over_fn process_exited;
    /* It has ended, and all its pipes are closed. Comes once, after everything else. */
    lariat_process_over_fn process_ended;
    /* Frees self: called exactly once, after all others, or before the call that was to start the process returns NULL.
     */
    lariat_free_fn free_self;
} lariat_process_protocol;

/* Fills the protocol of a process with nothing to be told.
 *
 * protocol     written.
 * struct_size  sizeof(lariat_process_protocol).
 * thread       any. */
LARIAT_API lariat_status lariat_process_protocol_init(lariat_process_protocol *protocol, uint32_t struct_size);

/* ---- Child processes --------------------------------------------------------------------------------------------- */

/* Starts a program as a child process.
 *
 * It begins with all signals as the system has them, with no descriptor but those that the options give it, and as fast
 * in a large process as in a small one. Each child is waited for by itself: no other child of the host is ever waited
 * for, no handler of SIGCHLD is needed or replaced; a host that waits for any child, or ignores SIGCHLD, may take away
 * how it has ended. It is watched by its descriptor (Linux 5.4), else by a thread of its own.
 *
 * options   copied.
 * protocol  copied.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   a handle that is good until process_ended has returned; NULL on failure: then nothing was started, and
 *           nothing is told.
 * errors    LARIAT_ERR_NOT_FOUND: no such program, or directory; LARIAT_ERR_PERMISSION_DENIED: it is no program, or may
 *           not be run; LARIAT_ERR_TOO_MANY_DESCRIPTORS; LARIAT_ERR_OS. The message names the program and what failed.
 *           LARIAT_ERR_NOT_SUPPORTED on Windows, and by a simulated reactor.
 * thread    the reactor's. Nothing is called from inside this call. When the scope or the reactor ends first, its pipes
 *           are closed, and it is killed with LARIAT_PROCESS_KILL_AT_END alone; one that goes on is waited for when
 *           another child is started or ends, or by the host.
 * Twisted   IReactorProcess.spawnProcess. */
LARIAT_API lariat_process *lariat_reactor_spawn(lariat_reactor *reactor, const lariat_process_options *options,
                                                const lariat_process_protocol *protocol, void *self);

/* The same as lariat_reactor_spawn, but queues events instead of calling: LARIAT_EVENT_CHILD_DATA_RECEIVED,
 * LARIAT_EVENT_CHILD_CONNECTION_LOST, LARIAT_EVENT_PROCESS_EXITED and, last, LARIAT_EVENT_PROCESS_ENDED. While the
 * queue is full, nothing is read.
 *
 * options  copied.
 * tag      any number; comes back in the events.
 * returns  as lariat_reactor_spawn does.
 * thread   the reactor's. */
LARIAT_API lariat_process *lariat_reactor_spawn_event(lariat_reactor *reactor, const lariat_process_options *options,
                                                      uint64_t tag);

/* Runs a program, and collects what it writes. Descriptor 0 is the null device where there is no input, unless the
 * options say what it is; all pipes that the process writes are collected, each by itself.
 *
 * options     copied.
 * input       len bytes, written to descriptor 0, which is then closed; may be NULL if len is 0.
 * len         bytes.
 * max_output  bytes in all that are collected at most; 0: 64 MiB.
 * returns     a Deferred that fires with a lariat_process_output when the process has ended and its pipes are closed,
 *             however it has ended; or fails with LARIAT_ERR_TIMED_OUT, LARIAT_ERR_LIMIT when it writes more than
 *             max_output, or LARIAT_ERR_STATUS_UNKNOWN. Cancelling it, and the limits, end the process: see kill_after
 *             of the options; the end of its scope or reactor kills it. NULL on failure.
 * errors      as of lariat_reactor_spawn.
 * thread      the reactor's.
 * Twisted     twisted.internet.utils.getProcessOutputAndValue. */
LARIAT_API lariat_deferred *lariat_reactor_run_process(lariat_reactor *reactor, const lariat_process_options *options,
                                                       const uint8_t *input, size_t len, uint64_t max_output);

/* Gives the stream at this end of a pipe of a process, or of its terminal: for all that streams can, such as being
 * paused, framing, water marks and limits. With another protocol it is read past the process, whose
 * child_connection_lost is called all the same.
 *
 * child_fd  the number that the pipe has in the child; 0, 1 or 2 of a terminal.
 * returns   the stream, which goes stale when it is closed; NULL on failure.
 * errors    LARIAT_ERR_CLOSED when it is closed; LARIAT_ERR_INVALID_ARGUMENT when there is no pipe at that number.
 * thread    the reactor's. */
LARIAT_API lariat_transport *lariat_process_transport(lariat_process *process, int32_t child_fd);

/* Writes to a pipe that a process reads, or to its terminal. What the pipe has no room for waits: see
 * lariat_transport_register_producer, and lariat_transport_set_max_buffer, with lariat_process_transport.
 *
 * child_fd  the number that the pipe has in the child; 0 is its standard input.
 * data      len bytes; may be NULL if len is 0.
 * len       bytes.
 * errors    as of lariat_process_transport and of lariat_transport_write.
 * thread    the reactor's.
 * Twisted   IProcessTransport.writeToChild. */
LARIAT_API lariat_status lariat_process_write(lariat_process *process, int32_t child_fd, const uint8_t *data,
                                              size_t len);

/* Closes a pipe of a process, once all that was written is out. A terminal is closed as a whole, which hangs it up.
 *
 * child_fd  the number that the pipe has in the child.
 * errors    as of lariat_process_transport.
 * thread    the reactor's. child_connection_lost comes later.
 * Twisted   IProcessTransport.closeChildFD. */
LARIAT_API lariat_status lariat_process_close(lariat_process *process, int32_t child_fd);

/* Closes all pipes of a process, once all that was written is out. So a process that has ended is over, though others
 * have its pipes still.
 *
 * thread   the reactor's. child_connection_lost comes later, for each.
 * Twisted  IProcessTransport.loseConnection. */
LARIAT_API lariat_status lariat_process_lose_connection(lariat_process *process);

/* Sends a signal to a process, and to it alone.
 *
 * signal   its number; 0 sends nothing, but tells whether it could be sent.
 * errors   LARIAT_ERR_CLOSED when it has ended; LARIAT_ERR_PERMISSION_DENIED when it is another user's now.
 * thread   the reactor's.
 * Twisted  IProcessTransport.signalProcess. */
LARIAT_API lariat_status lariat_process_signal(lariat_process *process, int32_t signal);

/* Sends a signal to all of the process group that a process leads, also when it has ended itself: until process_ended,
 * where the system can (Linux 6.9).
 *
 * signal  its number; 0 sends nothing, but tells whether it could be sent.
 * errors  LARIAT_ERR_INVALID_STATE when it leads no group; LARIAT_ERR_CLOSED when nobody is left of it;
 *         LARIAT_ERR_PERMISSION_DENIED; LARIAT_ERR_NOT_SUPPORTED when it has ended, where the system cannot.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_process_signal_group(lariat_process *process, int32_t signal);

/* Asks a process to end, by SIGTERM, and kills it if it has not after a while; with LARIAT_PROCESS_KILL_GROUP all of its
 * group. Called again, it begins anew.
 *
 * grace_seconds  how long it has before it is killed; 0: it is killed at once; INFINITY: it never is.
 * errors         LARIAT_ERR_CLOSED when it has ended; LARIAT_ERR_PERMISSION_DENIED when it is another user's now.
 * thread         the reactor's. */
LARIAT_API lariat_status lariat_process_terminate(lariat_process *process, double grace_seconds);

/* Tells the number of a process. Once it has ended, the system may give that to another one.
 *
 * returns  1 or more; negative: an error.
 * thread   the reactor's.
 * Twisted  IProcessTransport.pid. */
LARIAT_API int32_t lariat_process_pid(lariat_process *process);

/* Tells the code that a process has ended with.
 *
 * code     written: 0 to 255; -1 if it was ended by a signal. May be NULL.
 * returns  LARIAT_OK; LARIAT_EMPTY: it has not ended, as far as is known; negative: an error.
 * errors   LARIAT_ERR_STATUS_UNKNOWN when somebody else has waited for it.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_process_exit_code(lariat_process *process, int32_t *code);

/* Tells the signal that a process was ended by.
 *
 * signal   written: its number; 0 if it has ended by itself. May be NULL.
 * returns  LARIAT_OK; LARIAT_EMPTY: it has not ended, as far as is known; negative: an error.
 * errors   LARIAT_ERR_STATUS_UNKNOWN when somebody else has waited for it.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_process_exit_signal(lariat_process *process, int32_t *signal);

/* ---- What a process has written, and how it has ended ------------------------------------------------------------ */

/* Shows what a process has written to one of its descriptors.
 *
 * child_fd  1 is its standard output, and all of a terminal; 2 its standard error.
 * data      written: where it is, for as long as the output lives.
 * len       written: how many bytes.
 * errors    LARIAT_ERR_INVALID_ARGUMENT when nothing was collected from that descriptor.
 * thread    the reactor's. */
LARIAT_API lariat_status lariat_process_output_data(const lariat_process_output *output, int32_t child_fd,
                                                    const uint8_t **data, size_t *len);

/* Tells the code that the process has ended with.
 *
 * code    written: 0 to 255; -1 if it was ended by a signal. May be NULL.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_process_output_exit_code(const lariat_process_output *output, int32_t *code);

/* Tells the signal that the process was ended by.
 *
 * signal  written: its number; 0 if it has ended by itself. May be NULL.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_process_output_exit_signal(const lariat_process_output *output, int32_t *signal);

/* Frees output that was taken from its Deferred; else its Deferred frees it.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_process_output_free(lariat_process_output *output);

/* ---- Connections: writing, ending, reading ----------------------------------------------------------------------- */

/* A piece of what is written. */
typedef struct lariat_part {
    const uint8_t *data; /* Where it is; may be NULL if len is 0. */
    size_t len;          /* How many bytes it has. */
} lariat_part;

/* Writes. The data is copied, or sent at once, so that it may be freed afterwards. What is written in a callback goes
 * out together when the callback returns, outside of the loop at once. What the system has no room for waits, without a
 * limit unless lariat_transport_set_max_buffer has set one: see lariat_transport_register_producer.
 *
 * data    len bytes; may be NULL if len is 0.
 * len     bytes.
 * errors  all is accepted, or nothing: LARIAT_ERR_CLOSED when the connection is over or was closed for writing;
 *         LARIAT_ERR_BUFFER_FULL. What was accepted may yet be lost with the connection, whose end is told later.
 * thread  the reactor's.
 * Twisted ITransport.write. */
LARIAT_API lariat_status lariat_transport_write(lariat_transport *transport, const uint8_t *data, size_t len);

/* Writes several pieces as if they were one.
 *
 * parts   count pieces; may be NULL if count is 0.
 * count   how many there are.
 * errors  as of lariat_transport_write.
 * thread  the reactor's.
 * Twisted ITransport.writeSequence. */
LARIAT_API lariat_status lariat_transport_write_parts(lariat_transport *transport, const lariat_part *parts,
                                                      size_t count);

/* Ends a connection: what waits is written first, also what is written before it is out. Nothing more is read. With TLS the
 * peer is told, and has five seconds to end as well: a reset might take away what it has not received yet.
 *
 * errors   LARIAT_ERR_CLOSED when it is over.
 * thread   the reactor's. connection_lost comes later, with LARIAT_CONNECTION_DONE.
 * Twisted  ITransport.loseConnection. */
LARIAT_API lariat_status lariat_transport_lose_connection(lariat_transport *transport);

/* Ends a connection at once: what waits is dropped, and the peer sees a reset.
 *
 * errors   LARIAT_ERR_CLOSED when it is over.
 * thread   the reactor's. connection_lost comes later, with LARIAT_ERR_CONNECTION_ABORTED.
 * Twisted  ITCPTransport.abortConnection. */
LARIAT_API lariat_status lariat_transport_abort_connection(lariat_transport *transport);

/* Ends a connection at once, as lariat_transport_abort_connection does, for this reason: connection_lost gets it.
 *
 * code     not 0; positive ones are the program's own.
 * message  what happened, UTF-8; may be NULL.
 * errors   LARIAT_ERR_CLOSED when it is over.
 * thread   the reactor's. connection_lost comes later.
 * Twisted  ITLSTransport.failVerification, and failIfNotConnected of clients. */
LARIAT_API lariat_status lariat_transport_fail_connection(lariat_transport *transport, int32_t code,
                                                          const char *message);

/* Writes what waits, and then ends that direction: the peer reads an end, and may go on sending.
 *
 * errors   LARIAT_ERR_CLOSED when it is over, or closed for writing already.
 * thread   the reactor's. write_connection_lost comes later.
 * Twisted  ITCPTransport.loseWriteConnection. */
LARIAT_API lariat_status lariat_transport_lose_write_connection(lariat_transport *transport);

/* Reads no more until lariat_transport_resume_reading: the peer is held up once the system's buffers are full, and
 * its end is not noticed.
 *
 * errors   LARIAT_ERR_CLOSED when the connection is over.
 * thread   the reactor's.
 * Twisted  IPushProducer.pauseProducing of a transport. */
LARIAT_API lariat_status lariat_transport_pause_reading(lariat_transport *transport);

/* Reads again.
 *
 * errors   LARIAT_ERR_CLOSED when the connection is over.
 * thread   the reactor's. data_received comes later.
 * Twisted  IPushProducer.resumeProducing of a transport. */
LARIAT_API lariat_status lariat_transport_resume_reading(lariat_transport *transport);

/* Shows what was received and not consumed yet, of a protocol that has set pull.
 *
 * data    written: where it is, until data_received returns, or more comes.
 * len     written: how many bytes.
 * errors  LARIAT_ERR_CLOSED when the connection is over.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_transport_peek(lariat_transport *transport, const uint8_t **data, size_t *len);

/* Is done with the first bytes of what was received, of a protocol that has set pull. What is left comes again, with
 * more behind it. When a megabyte waits, nothing more is read until some of it is consumed.
 *
 * len     bytes, no more than there are.
 * errors  LARIAT_ERR_INVALID_STATE when the protocol has not set pull; LARIAT_ERR_CLOSED when the connection is over.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_transport_consume(lariat_transport *transport, size_t len);

/* Sends a part of a file behind what was written, without copying it where the system can.
 *
 * fd       a regular file, open for reading; the library has a copy of the descriptor from here on.
 * offset   bytes from its beginning.
 * len      bytes.
 * returns  a Deferred that fires, with NULL, when all is sent; cancelling it changes nothing. It fails with
 *          LARIAT_ERR_TRUNCATED when the file ends before, and with the connection's end. NULL on failure.
 * errors   as of lariat_transport_write; LARIAT_ERR_OS for a descriptor that is not open.
 * thread   the reactor's.
 * Twisted  FileSender.beginFileTransfer. */
LARIAT_API lariat_deferred *lariat_transport_send_file(lariat_transport *transport, lariat_socket fd, uint64_t offset,
                                                       uint64_t len);

/* Sends a descriptor over a Unix socket, with the next byte that is written.
 *
 * fd       stays the caller's; the library has a copy of it from here on.
 * errors   LARIAT_ERR_NOT_SUPPORTED for what is no Unix socket; LARIAT_ERR_OS for a descriptor that is not open.
 * thread   the reactor's.
 * Twisted  IUNIXTransport.sendFileDescriptor. */
LARIAT_API lariat_status lariat_transport_send_descriptor(lariat_transport *transport, lariat_socket fd);

/* Takes the oldest descriptor that came over a Unix socket: it is there when data_received is called with the byte
 * that it was sent with. 64 wait at most, more are closed; those that nobody takes are closed with the connection.
 *
 * fd       written: a descriptor, the caller's from here on.
 * returns  LARIAT_OK; LARIAT_EMPTY: none is waiting; negative: an error.
 * thread   the reactor's.
 * Twisted  IFileDescriptorReceiver.fileDescriptorReceived. */
LARIAT_API lariat_status lariat_transport_take_descriptor(lariat_transport *transport, lariat_socket *fd);

/* Gives a connection another protocol, whose connection_made is not called. The old self is freed.
 *
 * protocol  copied.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * errors    LARIAT_ERR_CLOSED when the connection is over.
 * thread    the reactor's.
 * Twisted   assigning transport.protocol. */
LARIAT_API lariat_status lariat_transport_set_protocol(lariat_transport *transport, const lariat_protocol *protocol,
                                                       void *self);

/* Tells what a connection's functions get as self.
 *
 * returns  self; NULL on failure too.
 * thread   the reactor's. */
LARIAT_API void *lariat_transport_self(lariat_transport *transport);

/* Tells where the other end of a connection is, as an endpoint: "tcp://192.0.2.1:4000", "unix://".
 *
 * text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
 * capacity  how many bytes there is room for.
 * length    written: how many bytes the whole text has, without the NUL; may be NULL.
 * errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_CLOSED when the connection is over.
 * thread    the reactor's.
 * Twisted   ITransport.getPeer. */
LARIAT_API lariat_status lariat_transport_peer(lariat_transport *transport, char *text, size_t capacity,
                                               size_t *length);

/* Tells where this end of a connection is, as an endpoint.
 *
 * text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
 * capacity  how many bytes there is room for.
 * length    written: how many bytes the whole text has, without the NUL; may be NULL.
 * errors    as of lariat_transport_peer.
 * thread    the reactor's.
 * Twisted   ITransport.getHost. */
LARIAT_API lariat_status lariat_transport_address(lariat_transport *transport, char *text, size_t capacity,
                                                  size_t *length);

/* Tells the descriptor of a connection, for what the library has no call for: an option of the socket, a query.
 *
 * fd      written: stays the library's, not to be read from, written to or closed; good until it is over.
 * errors  LARIAT_ERR_CLOSED when the connection is over; LARIAT_ERR_NOT_SUPPORTED for what is no socket, and by a
 *         simulated reactor.
 * thread  the reactor's.
 * Twisted ISystemHandle.getHandle. */
LARIAT_API lariat_status lariat_transport_descriptor(lariat_transport *transport, lariat_socket *fd);

/* Tells who is at the other end of a Unix socket, as the system knows it.
 *
 * pid     written: the process; -1 where the system does not tell; may be NULL.
 * uid     written: the user; may be NULL.
 * gid     written: the group; may be NULL.
 * errors  LARIAT_ERR_NOT_SUPPORTED for what is no Unix socket.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_transport_peer_credentials(lariat_transport *transport, int64_t *pid, int64_t *uid,
                                                           int64_t *gid);

/* ---- Connections: how much waits, who produces it, how fast and how long ----------------------------------------- */

/* Who writes as much as a connection takes: to be filled by lariat_producer_init, changed, and given to
 * lariat_transport_register_producer, which copies it. */
typedef struct lariat_producer {
    /* Set by lariat_producer_init. */
    uint32_t struct_size;
    /* 1: it writes until it is paused (push; default); 0: it writes one piece each time it is resumed (pull). */
    int32_t streaming;
    /* More waits than the high-water mark: it is to write no more; may be NULL. Not for pull. */
    lariat_producer_fn pause_producing;
    /* There is room: it is to write; may be NULL. */
    lariat_producer_fn resume_producing;
    /* Nothing is wanted any more; may be NULL. */
    lariat_producer_fn stop_producing;
} lariat_producer;

/* Fills a producer with the defaults.
 *
 * producer     written.
 * struct_size  sizeof(lariat_producer).
 * thread       any. */
LARIAT_API lariat_status lariat_producer_init(lariat_producer *producer, uint32_t struct_size);

/* Registers who writes to a connection, so that no more is written than the peer reads: a push producer is paused when
 * more waits than the high-water mark and resumed when it is down to the low one; a pull producer is resumed whenever
 * it is down to that. lariat_transport_lose_connection waits for a pull producer to unregister, a push producer is
 * stopped by it.
 *
 * producer   copied.
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_ALREADY_REGISTERED; LARIAT_ERR_CLOSED when the connection is over: then stop_producing was called.
 * thread     the reactor's. pause_producing may be called from inside lariat_transport_write, and from inside this.
 * Twisted    IConsumer.registerProducer. */
LARIAT_API lariat_status lariat_transport_register_producer(lariat_transport *transport,
                                                            const lariat_producer *producer, void *user_data);

/* The same as lariat_transport_register_producer, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the producer is unregistered or stopped, or when this fails.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_transport_register_producer_full(lariat_transport *transport,
                                                                 const lariat_producer *producer, void *user_data,
                                                                 lariat_free_fn free_user_data);

/* Forgets the producer of a connection: it has written all that it had to.
 *
 * errors   LARIAT_ERR_INVALID_STATE when there is none.
 * thread   the reactor's.
 * Twisted  IConsumer.unregisterProducer. */
LARIAT_API lariat_status lariat_transport_unregister_producer(lariat_transport *transport);

/* Sets when a producer is paused and resumed.
 *
 * high    bytes that wait, above which it is paused; default 65536.
 * low     bytes that wait, down to which it is resumed, at most high; default 0.
 * errors  LARIAT_ERR_CLOSED when the connection is over.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_transport_set_water_marks(lariat_transport *transport, uint64_t high, uint64_t low);

/* Limits what waits to be written: a write beyond it is refused with LARIAT_ERR_BUFFER_FULL.
 *
 * bytes   at most; 0: no limit (default).
 * errors  LARIAT_ERR_CLOSED when the connection is over.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_transport_set_max_buffer(lariat_transport *transport, uint64_t bytes);

/* Tells how much was written that the system has not taken yet.
 *
 * returns  bytes; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_transport_buffered(lariat_transport *transport);

/* Ends a connection on which nothing was received or sent for a while, with LARIAT_ERR_TIMED_OUT.
 *
 * seconds  0 to 1e9, counted anew from each byte on, in milliseconds; 0: never (default).
 * errors   LARIAT_ERR_CLOSED when the connection is over.
 * thread   the reactor's.
 * Twisted  TimeoutMixin.setTimeout. */
LARIAT_API lariat_status lariat_transport_set_idle_timeout(lariat_transport *transport, double seconds);

/* Limits how fast a connection is read and written; a second's worth may come at once.
 *
 * read_rate   bytes a second, to 1e15; 0: no limit (default).
 * write_rate  bytes a second, to 1e15; 0: no limit (default).
 * errors      LARIAT_ERR_CLOSED when the connection is over.
 * thread      the reactor's.
 * Twisted     ThrottlingFactory. */
LARIAT_API lariat_status lariat_transport_set_rate_limit(lariat_transport *transport, double read_rate,
                                                         double write_rate);

/* Has small pieces sent at once (default), or held back until what was sent before is acknowledged.
 *
 * on       1 or 0.
 * errors   LARIAT_ERR_OS or LARIAT_ERR_NOT_SUPPORTED for what is no TCP connection.
 * thread   the reactor's.
 * Twisted  ITCPTransport.setTcpNoDelay. */
LARIAT_API lariat_status lariat_transport_set_no_delay(lariat_transport *transport, int32_t on);

/* Has the system look after a silent peer, so that one that is gone is noticed.
 *
 * idle      seconds of silence before it does, at least 1; 0: never (default).
 * interval  seconds between two probes; 0: as the system has it.
 * count     probes without an answer after which the connection is lost; 0: as the system has it.
 * errors    LARIAT_ERR_OS or LARIAT_ERR_NOT_SUPPORTED for what is no TCP connection.
 * thread    the reactor's.
 * Twisted   ITCPTransport.setTcpKeepAlive. */
LARIAT_API lariat_status lariat_transport_set_keep_alive(lariat_transport *transport, double idle, double interval,
                                                         uint32_t count);

/* Sets what the system does with what it has not sent when the connection is closed.
 *
 * seconds  0: it is dropped, and the peer sees a reset; more: it is sent for so long; negative: for as long as it
 *          takes (default). At most 65535.
 * errors   LARIAT_ERR_OS as the system says.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_transport_set_linger(lariat_transport *transport, double seconds);

/* Marks what is sent with a type of service (IPv4) or traffic class (IPv6).
 *
 * value    0 to 255.
 * errors   LARIAT_ERR_OS as the system says.
 * thread   the reactor's.
 * Twisted  ITransport of IPv4: setTcpTos by getHandle; RFC 2474. */
LARIAT_API lariat_status lariat_transport_set_type_of_service(lariat_transport *transport, int32_t value);

/* Sets the sizes of the system's buffers; it may take others.
 *
 * receive  bytes for what is received; 0: as it is.
 * send     bytes for what is sent; 0: as it is.
 * errors   LARIAT_ERR_OS as the system says.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_transport_set_buffer_sizes(lariat_transport *transport, uint32_t receive,
                                                           uint32_t send);

/* ---- Framing of connections: lines, netstrings, lengths ---------------------------------------------------------- */

/* Has a connection's data_received called with one whole line at a time, without its delimiter; with events, one is
 * queued for each. To be called in the build function or at any later time, also by data_received: it holds for all
 * that was received and not handed over yet, or queued. Of a protocol that has set pull that includes what it has not
 * consumed; lines are consumed when they are handed over.
 *
 * A line longer than max_length ends the connection with LARIAT_ERR_TOO_LONG, the end of the stream within a line with
 * LARIAT_ERR_TRUNCATED: what was written before goes out as far as the system has room for it. No line is handed over
 * after lariat_transport_pause_reading until reading is resumed, nor once the connection is to end.
 *
 * delimiter      1 to 255 bytes, copied; may be NULL if delimiter_len is 0: "\r\n". For peers that end lines with a bare
 *                "\n", that; a "\r" before it is then a part of the line.
 * delimiter_len  bytes.
 * max_length     bytes of a line, without its delimiter; 0: 16384.
 * errors         LARIAT_ERR_CLOSED when the connection is over.
 * thread         the reactor's.
 * Twisted        LineReceiver and LineOnlyReceiver; setLineMode. There the end of an unfinished line is dropped. */
LARIAT_API lariat_status lariat_transport_set_line_framing(lariat_transport *transport, const uint8_t *delimiter,
                                                           size_t delimiter_len, size_t max_length);

/* The same as lariat_transport_set_line_framing with netstrings: the length in decimal digits, a colon, the bytes, a
 * comma. One that is longer ends the connection with LARIAT_ERR_TOO_LONG; a length with other characters or with a zero
 * before it, or another character than the comma, with LARIAT_ERR_BAD_FRAME.
 *
 * max_length  bytes of a netstring; 0: 99999.
 * errors      LARIAT_ERR_CLOSED when the connection is over.
 * thread      the reactor's.
 * Twisted     NetstringReceiver. */
LARIAT_API lariat_status lariat_transport_set_netstring_framing(lariat_transport *transport, size_t max_length);

/* The same as lariat_transport_set_line_framing with messages that have their length before them, in network order. One
 * that is announced to be longer ends the connection with LARIAT_ERR_TOO_LONG.
 *
 * prefix_bits  8, 16 or 32.
 * max_length   bytes of a message, without its prefix; 0: 99999, or what the prefix can say. Memory for a message is
 *              taken as it comes, not as it is announced.
 * errors       LARIAT_ERR_CLOSED when the connection is over.
 * thread       the reactor's.
 * Twisted      Int8StringReceiver, Int16StringReceiver, Int32StringReceiver. */
LARIAT_API lariat_status lariat_transport_set_length_framing(lariat_transport *transport, int32_t prefix_bits,
                                                             size_t max_length);

/* Ends framing: data_received is called with bytes as they come, first with those that were received and not handed
 * over as a frame yet.
 *
 * errors   LARIAT_ERR_CLOSED when the connection is over.
 * thread   the reactor's.
 * Twisted  LineReceiver.setRawMode. */
LARIAT_API lariat_status lariat_transport_set_raw(lariat_transport *transport);

/* Gives bytes back, to come before all that was not handed over yet: those that a protocol was given raw, and that are
 * for the framing that it sets before or after this. Without a framing, what data_received gives back comes again with
 * more behind it, and what is given back elsewhere on the next turn.
 *
 * data    len bytes, copied; may be NULL if len is 0.
 * len     bytes.
 * errors  LARIAT_ERR_INVALID_STATE for a protocol that has set pull, which consumes less instead; LARIAT_ERR_CLOSED when
 *         the connection is over.
 * thread  the reactor's.
 * Twisted LineReceiver.setLineMode's extra. */
LARIAT_API lariat_status lariat_transport_unread(lariat_transport *transport, const uint8_t *data, size_t len);

/* Writes data as one frame of the connection's framing: with the delimiter, the comma or the length that belongs to it.
 * max_length is for what is received alone.
 *
 * data    len bytes; may be NULL if len is 0.
 * len     bytes.
 * errors  nothing is written then: LARIAT_ERR_INVALID_STATE when there is no framing; LARIAT_ERR_INVALID_ARGUMENT for a
 *         line that contains its delimiter; LARIAT_ERR_TOO_LONG for more than the prefix can say; and as of
 *         lariat_transport_write.
 * thread  the reactor's.
 * Twisted LineReceiver.sendLine; NetstringReceiver.sendString and so on. */
LARIAT_API lariat_status lariat_transport_write_frame(lariat_transport *transport, const uint8_t *data, size_t len);

/* ---- Reconnecting clients ---------------------------------------------------------------------------------------- */

/* How long a reconnecting client waits before it tries again: to be filled by lariat_backoff_init and changed. */
typedef struct lariat_backoff {
    /* Set by lariat_backoff_init. */
    uint32_t struct_size;
    /* Attempts in a row that may fail, after the first, before the client gives up; 0: it never does (default). */
    uint32_t max_retries;
    /* Seconds after a connection was lost, and after the first attempt that failed: 0 to 1e9; default 1. */
    double initial_seconds;
    /* The wait after each further failure is longer by this factor: 1 to 1e6; default 1.5. */
    double factor;
    /* Seconds that it grows to at most: initial_seconds to 1e9; default 60. */
    double max_seconds;
    /* The part of each wait by which it is shorter or longer by chance, so that not all clients of a server that was
     * away come back at once: 0 to 1; default 0.1. */
    double jitter;
} lariat_backoff;

/* Fills a backoff with the defaults.
 *
 * backoff      written.
 * struct_size  sizeof(lariat_backoff).
 * thread       any.
 * Twisted      backoffPolicy. */
LARIAT_API lariat_status lariat_backoff_init(lariat_backoff *backoff, uint32_t struct_size);

/* Makes a client that connects once it is started, and connects again whenever its connection is lost or an attempt
 * fails, until it is stopped. A connection that was made ends the series of failures.
 *
 * endpoint        as for lariat_reactor_connect.
 * protocol        copied; each connection's.
 * backoff         copied; may be NULL: the defaults.
 * build_protocol  makes the self of each connection, with NULL as its listener; may be NULL: self is user_data, and
 *                 free_self is not called. A connection that it refuses counts as an attempt that failed.
 * user_data       may be NULL; passed through.
 * returns         the client, to be freed by lariat_reconnecting_client_free or with its scope or reactor; NULL on
 *                 failure.
 * errors          LARIAT_ERR_BAD_ENDPOINT.
 * thread          the reactor's.
 * Twisted         ClientService; ReconnectingClientFactory. */
LARIAT_API lariat_reconnecting_client *lariat_reconnecting_client_new(lariat_reactor *reactor, const char *endpoint,
                                                                      const lariat_protocol *protocol,
                                                                      const lariat_backoff *backoff,
                                                                      lariat_build_protocol_fn build_protocol,
                                                                      void *user_data);

/* The same as lariat_reconnecting_client_new, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the client is freed and, where it is their self, with the
 * last of its connections; or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_reconnecting_client *lariat_reconnecting_client_new_full(lariat_reactor *reactor,
                                                                           const char *endpoint,
                                                                           const lariat_protocol *protocol,
                                                                           const lariat_backoff *backoff,
                                                                           lariat_build_protocol_fn build_protocol,
                                                                           void *user_data,
                                                                           lariat_free_fn free_user_data);

/* The same as lariat_reconnecting_client_new, but its connections queue events instead of calling, as those of
 * lariat_reactor_connect_event.
 *
 * endpoint  as for lariat_reactor_connect.
 * backoff   copied; may be NULL: the defaults.
 * tag       any number; comes back in the events of all its connections.
 * thread    the reactor's. */
LARIAT_API lariat_reconnecting_client *lariat_reconnecting_client_new_event(lariat_reactor *reactor,
                                                                            const char *endpoint,
                                                                            const lariat_backoff *backoff,
                                                                            uint64_t tag);

/* Has fn(client, failure, seconds, user_data) called after each attempt that failed; a function given before is not
 * called any more.
 *
 * fn         may be NULL: nobody is told.
 * user_data  may be NULL; passed through.
 * thread     the reactor's.
 * Twisted    ReconnectingClientFactory.clientConnectionFailed. */
LARIAT_API lariat_status lariat_reconnecting_client_set_attempt_failed(lariat_reconnecting_client *client,
                                                                       lariat_attempt_failed_fn fn, void *user_data);

/* The same as lariat_reconnecting_client_set_attempt_failed, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the client is freed or told another function, once this one has
 * returned; or before this fails.
 *
 * fn              may be NULL: nobody is told.
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_reconnecting_client_set_attempt_failed_full(lariat_reconnecting_client *client,
                                                                            lariat_attempt_failed_fn fn,
                                                                            void *user_data,
                                                                            lariat_free_fn free_user_data);

/* The same as lariat_reconnecting_client_set_attempt_failed, but it queues events, LARIAT_EVENT_ATTEMPT_FAILED, instead
 * of calling.
 *
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_reconnecting_client_set_attempt_failed_event(lariat_reconnecting_client *client,
                                                                             uint64_t tag);

/* Starts a client: the first attempt begins on the next turn.
 *
 * errors   LARIAT_ERR_INVALID_STATE when it was started and neither stopped nor given up since.
 * thread   the reactor's. Nothing is called from inside this call.
 * Twisted  ClientService.startService. */
LARIAT_API lariat_status lariat_reconnecting_client_start(lariat_reconnecting_client *client);

/* Stops a client, started or not: an attempt is given up, the connection closed as by
 * lariat_transport_lose_connection, and those who wait for one fail with LARIAT_ERR_CANCELLED, from inside this call. It
 * may be started again.
 *
 * returns  a Deferred that fires, with NULL, when the connection is over, or has fired if there is none; cancelling it
 *          changes nothing. It fails with LARIAT_ERR_CLOSED when the client is freed before. NULL on failure.
 * thread   the reactor's.
 * Twisted  ClientService.stopService. */
LARIAT_API lariat_deferred *lariat_reconnecting_client_stop(lariat_reconnecting_client *client);

/* Asks for the connection of a client: the present one, or else the next, also of a client that is not started yet.
 *
 * failures  0: wait for as long as the client tries; else fail, with its failure, when so many attempts in a row have
 *           failed, counted from the last connection or the start.
 * returns   a Deferred that fires with the connection, a lariat_transport, after its connection_made; cancelling it
 *           stops waiting. NULL on failure. It fails with the last attempt's failure when the client gives up, with
 *           LARIAT_ERR_CANCELLED when it is stopped, with LARIAT_ERR_CLOSED when it is freed.
 * thread    the reactor's.
 * Twisted   ClientService.whenConnected. */
LARIAT_API lariat_deferred *lariat_reconnecting_client_when_connected(lariat_reconnecting_client *client,
                                                                      uint32_t failures);

/* Tells which connection a client has.
 *
 * returns  the connection, until its connection_lost has returned; NULL: it has none now.
 * thread   the reactor's. */
LARIAT_API lariat_transport *lariat_reconnecting_client_transport(lariat_reconnecting_client *client);

/* Tells how many attempts of a client have failed in a row.
 *
 * returns  0 or more, since the last connection or the start; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_reconnecting_client_failures(lariat_reconnecting_client *client);

/* Tells how long a client will wait before its next attempt.
 *
 * returns  seconds, 0 or more; INFINITY: it waits for none; NaN on failure.
 * thread   the reactor's. */
LARIAT_API double lariat_reconnecting_client_next_attempt(lariat_reconnecting_client *client);

/* Ends a client: an attempt is given up, its connection is closed as by lariat_transport_lose_connection, and all who
 * wait for it fail with LARIAT_ERR_CLOSED, from inside this call. Its handle is stale from here on.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_reconnecting_client_free(lariat_reconnecting_client *client);

/* ---- Connection pools -------------------------------------------------------------------------------------------- */

/* How much a connection pool may have: to be filled by lariat_connection_pool_options_init and changed. */
typedef struct lariat_connection_pool_options {
    /* Set by lariat_connection_pool_options_init. */
    uint32_t struct_size;
    /* Connections at most, used or not, those that are being made among them; 0: no limit. Default 10. */
    uint32_t max_connections;
    /* Connections that are kept while nobody uses them, at most: more are closed when they are given back; 0: none is
     * kept. Default 10. */
    uint32_t max_idle;
    /* Those who may wait while max_connections are there; 0: no limit (default). */
    uint32_t max_waiting;
    /* Seconds after which a connection that nobody uses is closed: 0 or more, or INFINITY. Default 60. */
    double idle_seconds;
} lariat_connection_pool_options;

/* Fills the options of a pool with the defaults.
 *
 * options      written.
 * struct_size  sizeof(lariat_connection_pool_options).
 * thread       any. */
LARIAT_API lariat_status lariat_connection_pool_options_init(lariat_connection_pool_options *options,
                                                             uint32_t struct_size);

/* Makes an empty pool of connections to an endpoint.
 *
 * endpoint        as for lariat_reactor_connect.
 * protocol        copied; each connection's.
 * options         copied; may be NULL: the defaults.
 * build_protocol  makes the self of each connection, with NULL as its listener; may be NULL: self is user_data, and
 *                 free_self is not called.
 * user_data       may be NULL; passed through.
 * returns         the pool, to be freed by lariat_connection_pool_free or with its scope or reactor; NULL on failure.
 * errors          LARIAT_ERR_BAD_ENDPOINT.
 * thread          the reactor's.
 * Twisted         HTTPConnectionPool, for any protocol. */
LARIAT_API lariat_connection_pool *lariat_connection_pool_new(lariat_reactor *reactor, const char *endpoint,
                                                              const lariat_protocol *protocol,
                                                              const lariat_connection_pool_options *options,
                                                              lariat_build_protocol_fn build_protocol, void *user_data);

/* The same as lariat_connection_pool_new, with user_data owned by the library from here on: free_user_data(user_data)
 * is called exactly once, when the pool is freed and, where it is their self, with the last of its connections; or
 * before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_connection_pool *lariat_connection_pool_new_full(lariat_reactor *reactor, const char *endpoint,
                                                                   const lariat_protocol *protocol,
                                                                   const lariat_connection_pool_options *options,
                                                                   lariat_build_protocol_fn build_protocol,
                                                                   void *user_data, lariat_free_fn free_user_data);

/* The same as lariat_connection_pool_new, but its connections queue events instead of calling, as those of
 * lariat_reactor_connect_event.
 *
 * endpoint  as for lariat_reactor_connect.
 * options   copied; may be NULL: the defaults.
 * tag       any number; comes back in the events of all its connections.
 * thread    the reactor's. */
LARIAT_API lariat_connection_pool *lariat_connection_pool_new_event(lariat_reactor *reactor, const char *endpoint,
                                                                    const lariat_connection_pool_options *options,
                                                                    uint64_t tag);

/* Asks for a connection that nobody else uses: of those kept the one used last, else a new one, else, at
 * max_connections, the first that is given back. Those who wait get theirs in the order in which they asked.
 *
 * returns  a Deferred that fires with the connection, a lariat_transport, which is to be given back by
 *          lariat_connection_pool_release or _discard; cancelling it stops waiting. NULL on failure. When an attempt to
 *          connect fails, whoever waits longest fails as by lariat_reactor_connect.
 * errors   LARIAT_ERR_LIMIT at options.max_waiting.
 * thread   the reactor's.
 * Twisted  HTTPConnectionPool.getConnection. */
LARIAT_API lariat_deferred *lariat_connection_pool_acquire(lariat_connection_pool *pool);

/* Gives a connection back: to whoever waits longest, whose callbacks run from inside this call, else it is kept. One
 * that is over or on its way there is not used again; its place is free when it has ended.
 *
 * errors   LARIAT_ERR_STALE_HANDLE when the connection is over, with nothing left to be done;
 *          LARIAT_ERR_INVALID_ARGUMENT when it is not the pool's; LARIAT_ERR_INVALID_STATE when it is not in use.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_connection_pool_release(lariat_connection_pool *pool, lariat_transport *transport);

/* Gives a connection back that is not to be used again: it is closed as by lariat_transport_lose_connection.
 *
 * errors  as of lariat_connection_pool_release.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_connection_pool_discard(lariat_connection_pool *pool, lariat_transport *transport);

/* Tells how many connections a pool has: used, kept, being made and being closed.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_connection_pool_connections(lariat_connection_pool *pool);

/* Tells how many connections a pool keeps that nobody uses.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_connection_pool_idle(lariat_connection_pool *pool);

/* Tells how many wait for a connection of a pool.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_connection_pool_waiting(lariat_connection_pool *pool);

/* Ends a pool: those who wait fail with LARIAT_ERR_CLOSED, from inside this call, and connections that nobody uses are
 * closed as by lariat_transport_lose_connection. Those in use live on, and belong to no pool. Its handle is stale from
 * here on.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_connection_pool_free(lariat_connection_pool *pool);

/* ---- Reactor groups ---------------------------------------------------------------------------------------------- */

enum {
    /* As the system does it best: LARIAT_SHARING_PORT for TCP on Linux, else LARIAT_SHARING_HAND_OVER. */
    LARIAT_SHARING_DEFAULT = 0,
    /* Each reactor listens at a socket of its own at the same port, and the system shares out what connects (SO_REUSEPORT).
     */
    LARIAT_SHARING_PORT = 1,
    /* The first reactor accepts, and hands what it has accepted on to all by turns. Those whose listener is full, paused or
     * stopped are left out; while all are full, who connects waits in the backlog. When the first's is paused or stopped,
     * or its reactor ends, nobody accepts. */
    LARIAT_SHARING_HAND_OVER = 2,
};

/* Makes a group of reactors, each of which will have a thread of its own, to be run and stopped together: a server that
 * uses all processors. Threads and reactors are made by lariat_reactor_group_listen or lariat_reactor_group_start.
 *
 * reactors  at most 1024; 0: as many as there are processors.
 * options   of each reactor, as for lariat_reactor_new_with_options; may be NULL: the defaults. Its functions are called
 *           on the threads of all reactors, also at the same time; its free functions once, when the group is freed.
 * returns   the group, to be freed by lariat_reactor_group_free; NULL on failure.
 * errors    LARIAT_ERR_NOT_SUPPORTED when options asks for a simulation or a manual clock.
 * thread    any: the group becomes that thread's. It belongs to no reactor and to no scope. */
LARIAT_API lariat_reactor_group *lariat_reactor_group_new(uint32_t reactors, const lariat_reactor_options *options);

/* Has all reactors of a group listen at one endpoint, and share what connects; before the group is started.
 *
 * Each reactor has a listener of its own, which build_protocol is given, and so has each its own limits and counts.
 *
 * endpoint        as for lariat_reactor_listen. Where the system is to pick the port, it is the same for all.
 * sharing         LARIAT_SHARING_DEFAULT, LARIAT_SHARING_PORT or LARIAT_SHARING_HAND_OVER.
 * protocol        copied; each connection's. Its functions are called on the threads of all reactors, also at the same
 *                 time, but for one connection always on the same.
 * build_protocol  makes the self of each connection, on its reactor's thread; may be NULL: self is user_data, and
 *                 free_self is not called.
 * user_data       may be NULL; passed through.
 * returns         the port, 1 to 65535; 0: it has none, being a Unix socket; negative: an error.
 * errors          as of lariat_reactor_listen; LARIAT_ERR_NOT_SUPPORTED for LARIAT_SHARING_PORT where the system does not
 *                 share; LARIAT_ERR_INVALID_STATE once the group was started; LARIAT_ERR_CLOSED once it was stopped, and
 *                 for good when threads or reactors could not be made.
 * thread          the group's. */
LARIAT_API int32_t lariat_reactor_group_listen(lariat_reactor_group *group, const char *endpoint, int32_t sharing,
                                               const lariat_protocol *protocol, lariat_build_protocol_fn build_protocol,
                                               void *user_data);

/* The same as lariat_reactor_group_listen, with user_data owned by the library from here on: free_user_data(user_data)
 * is called exactly once, on the group's thread, when the group is freed, or before this fails.
 *
 * free_user_data  may be NULL.
 * thread          the group's. */
LARIAT_API int32_t lariat_reactor_group_listen_full(lariat_reactor_group *group, const char *endpoint, int32_t sharing,
                                                    const lariat_protocol *protocol,
                                                    lariat_build_protocol_fn build_protocol, void *user_data,
                                                    lariat_free_fn free_user_data);

/* Starts a group: setup(reactor, index, user_data) is called for one reactor after the other, each on its own thread,
 * and then all their loops run. A group is started once.
 *
 * setup      makes what a reactor is to begin with; may be NULL.
 * user_data  may be NULL; passed through.
 * returns    LARIAT_OK: all loops run, or soon will; else why not, which may be what setup has answered, with its message
 *            if it has one. Then nothing of the group is left but its handle, unless it runs already.
 * errors     LARIAT_ERR_INVALID_STATE when it was started before; LARIAT_ERR_CLOSED once it was stopped; LARIAT_ERR_OS
 *            and others when threads or reactors cannot be made.
 * thread     the group's. It returns when all setups have. */
LARIAT_API lariat_status lariat_reactor_group_start(lariat_reactor_group *group, lariat_group_setup_fn setup,
                                                    void *user_data);

/* The same as lariat_reactor_group_start, with user_data owned by the library from here on: free_user_data(user_data)
 * is called exactly once, on the group's thread, when the group is freed, or before this fails.
 *
 * setup           may be NULL.
 * free_user_data  may be NULL.
 * thread          the group's. */
LARIAT_API lariat_status lariat_reactor_group_start_full(lariat_reactor_group *group, lariat_group_setup_fn setup,
                                                         void *user_data, lariat_free_fn free_user_data);

/* Stops a group: each reactor as by lariat_reactor_stop, with its shutdown triggers, and then it is freed, with all that
 * lives in it, on its own thread. A group that was not started is ended all the same.
 *
 * returns  LARIAT_OK when all threads are over; on one of the group's own threads: when that was asked for, since it
 *          cannot wait for itself; else what went wrong on one of the threads.
 * errors   LARIAT_ERR_OS when a poll has failed; LARIAT_ERR_PANIC.
 * thread   any. What the shutdown triggers wait for must not be on the thread that calls this. */
LARIAT_API lariat_status lariat_reactor_group_stop(lariat_reactor_group *group);

/* Waits until all loops of a group have ended and their reactors are freed: because it was stopped, or because each was.
 *
 * returns  as lariat_reactor_group_stop.
 * errors   LARIAT_ERR_NOT_RUNNING when it was not started.
 * thread   the group's. */
LARIAT_API lariat_status lariat_reactor_group_wait(lariat_reactor_group *group);

/* Tells how many reactors a group has, or will have.
 *
 * returns  1 or more; negative: an error.
 * thread   the group's. */
LARIAT_API int64_t lariat_reactor_group_size(lariat_reactor_group *group);

/* Gives one of the reactors of a group, for the calls that any thread may make, such as lariat_reactor_call_from_thread.
 *
 * index    from 0 on.
 * returns  the reactor, which is the group's to run and to free; stale when its loop has ended. NULL on failure.
 * errors   LARIAT_ERR_INVALID_ARGUMENT for one that there is not, or not yet.
 * thread   any. */
LARIAT_API lariat_reactor *lariat_reactor_group_reactor(lariat_reactor_group *group, uint32_t index);

/* Ends a group, which is stopped first, as by lariat_reactor_group_stop, if it was not. Its handle is stale from here on.
 *
 * thread  the group's. */
LARIAT_API lariat_status lariat_reactor_group_free(lariat_reactor_group *group);

/* ---- Datagrams: what a port's owner is told, and opening a port -------------------------------------------------- */

/* A datagram among several: received together, or to be sent. Fixed for ever. */
typedef struct lariat_datagram {
    /* Its bytes; may be NULL if len is 0. */
    const uint8_t *data;
    /* How many bytes data has. */
    size_t len;
    /* Who sent it, or where it goes; NULL: to whom the port is connected. */
    const lariat_address *peer;
    /* It is several datagrams of this size behind each other, the last maybe shorter; 0: it is one. */
    uint32_t segment_size;
    /* 0. */
    uint32_t reserved;
} lariat_datagram;

/* Told of a port, on the reactor's thread.
 *
 * port  the port.
 * self  as given when it was opened. */
typedef void (*lariat_datagram_port_fn)(lariat_datagram_port *port, void *self);

/* Told that a datagram came, whole, on the reactor's thread. A reply goes out at once.
 *
 * port  the port.
 * data  valid until the function returns.
 * len   how many bytes data has; may be 0.
 * peer  who sent it; valid until the function returns. An IPv4 address also on a port of both families.
 * self  as given when the port was opened. */
typedef void (*lariat_datagram_received_fn)(lariat_datagram_port *port, const uint8_t *data, size_t len,
                                            const lariat_address *peer, void *self);

/* Told that datagrams came, all that were received by one call to the system, on the reactor's thread.
 *
 * port       the port.
 * datagrams  valid until the function returns, with all that they point to; fit for lariat_datagram_port_send_batch.
 * count      how many they are, at least 1; those with a segment_size are several each.
 * self       as given when the port was opened. */
typedef void (*lariat_datagram_batch_fn)(lariat_datagram_port *port, const lariat_datagram *datagrams, size_t count,
                                         void *self);

/* Told, on the reactor's thread, that something went wrong with a datagram. The port lives on.
 *
 * port    the port.
 * reason  LARIAT_ERR_CONNECTION_REFUSED: whom the port is connected to does not listen; LARIAT_ERR_TRUNCATED: one that
 *         came was too long, and is lost; others: one that had to wait could not be sent. Valid until the function
 *         returns, unless kept.
 * peer    who sent it, or where it went; may be NULL. Valid until the function returns.
 * self    as given when the port was opened.
 * Twisted ConnectedDatagramProtocol.connectionRefused. */
typedef void (*lariat_datagram_failed_fn)(lariat_datagram_port *port, const lariat_failure *reason,
                                          const lariat_address *peer, void *self);

/* Told, on the reactor's thread, that a port is closed: once, last, and never from inside the call that closed it, but
 * for the free of the reactor and the end of a scope.
 *
 * port    the port; stale once the function has returned.
 * reason  LARIAT_CONNECTION_DONE: it was stopped; LARIAT_ERR_CLOSED: its scope or its reactor ends; others: its socket
 *         failed. Valid until the function returns, unless kept.
 * self    as given when the port was opened. */
typedef void (*lariat_datagram_stopped_fn)(lariat_datagram_port *port, const lariat_failure *reason, void *self);

/* What the owner of a datagram port is told; to be prepared by lariat_datagram_protocol_init, and copied when a port is
 * opened. Each function may be NULL.
 *
 * Twisted  DatagramProtocol. */
typedef struct lariat_datagram_protocol {
    /* Set by lariat_datagram_protocol_init. */
    uint32_t struct_size;
    /* 0. */
    uint32_t reserved;
    /* The port is open; comes first, from the loop. */
    lariat_datagram_port_fn started;
    /* A datagram came; one of several that came as one is told for itself. */
    lariat_datagram_received_fn datagram_received;
    /* Datagrams came; if it is set, datagram_received is not called. */
    lariat_datagram_batch_fn batch_received;
    /* Something went wrong with a datagram; NULL: the log is told. */
    lariat_datagram_failed_fn datagram_failed;
    /* All that had to wait is sent, after a send was refused with LARIAT_ERR_BUFFER_FULL. */
    lariat_datagram_port_fn drained;
    /* The port is closed. */
    lariat_datagram_stopped_fn stopped;
    /* Frees self: called exactly once, after all others, or before the call that was to open the port returns NULL. */
    lariat_free_fn free_self;
} lariat_datagram_protocol;

/* Prepares a protocol: nothing is told.
 *
 * protocol     written.
 * struct_size  sizeof(lariat_datagram_protocol).
 * thread       any. */
LARIAT_API lariat_status lariat_datagram_protocol_init(lariat_datagram_protocol *protocol, uint32_t struct_size);

/* Opens a datagram port.
 *
 * endpoint  where: udp://127.0.0.1:4000; udp://[::1]:0: the system picks a port; with * for the host: all addresses of
 *           both families, as with [::]; unix-datagram:///run/x; unix-datagram-abstract://x. Options follow a ?: gro=1
 *           receives what one peer sends several at once, reuse_port=1, reuse_address=1 (for multicast), only_v6=1,
 *           broadcast=1, receive_buffer, send_buffer, time_to_live, type_of_service, mode (of a Unix socket). A stale
 *           file of a Unix socket is replaced; it goes when the port is stopped.
 * protocol  copied.
 * self      may be NULL; passed to the protocol's functions. The library's from here on if the protocol has free_self.
 * returns   a handle that is good until the protocol's stopped has returned; NULL on failure.
 * errors    LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_ADDRESS_IN_USE; LARIAT_ERR_ADDRESS_NOT_AVAILABLE;
 *           LARIAT_ERR_PERMISSION_DENIED; LARIAT_ERR_TOO_MANY_DESCRIPTORS; LARIAT_ERR_OS.
 * thread    the reactor's.
 * Twisted   IReactorUDP.listenUDP, IReactorMulticast.listenMulticast, IReactorUNIXDatagram.listenUNIXDatagram. */
LARIAT_API lariat_datagram_port *lariat_reactor_listen_datagram(lariat_reactor *reactor, const char *endpoint,
                                                                const lariat_datagram_protocol *protocol, void *self);

/* The same as lariat_reactor_listen_datagram, but queues events instead of calling: LARIAT_EVENT_DATAGRAM_RECEIVED,
 * LARIAT_EVENT_DATAGRAM_FAILED, LARIAT_EVENT_DATAGRAMS_DRAINED and, last, LARIAT_EVENT_DATAGRAM_PORT_STOPPED. A full
 * queue pauses reading.
 *
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_datagram_port *lariat_reactor_listen_datagram_event(lariat_reactor *reactor, const char *endpoint,
                                                                      uint64_t tag);

/* Makes a datagram port of a socket that was made elsewhere: inherited, passed, or the host's own.
 *
 * fd        a socket of datagrams, bound or connected as it may be; the library's once this succeeds, else as it was.
 * protocol  copied.
 * self      as with lariat_reactor_listen_datagram.
 * returns   as lariat_reactor_listen_datagram.
 * errors    LARIAT_ERR_INVALID_ARGUMENT for another kind of socket, and for what is none; LARIAT_ERR_ALREADY_WATCHED;
 *           LARIAT_ERR_NOT_SUPPORTED when simulated.
 * thread    the reactor's.
 * Twisted   IReactorSocket.adoptDatagramPort. */
LARIAT_API lariat_datagram_port *lariat_reactor_adopt_datagram(lariat_reactor *reactor, lariat_socket fd,
                                                               const lariat_datagram_protocol *protocol, void *self);

/* ---- Datagram ports: sending, pausing, what they can be told and asked ------------------------------------------- */

/* Sends a datagram to whom the port is connected to. It goes out at once, or waits in order when the system has no
 * room; then what fails is told by datagram_failed.
 *
 * data    copied if it has to wait; may be NULL if len is 0.
 * len     how many bytes data has.
 * errors  LARIAT_ERR_INVALID_STATE: not connected; LARIAT_ERR_TOO_LONG; LARIAT_ERR_BUFFER_FULL: what waits already is
 *         all that may, see lariat_datagram_port_set_max_buffer; LARIAT_ERR_UNREACHABLE; LARIAT_ERR_PERMISSION_DENIED;
 *         LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
 * thread  the reactor's.
 * Twisted IUDPTransport.write. */
LARIAT_API lariat_status lariat_datagram_port_send(lariat_datagram_port *port, const uint8_t *data, size_t len);

/* Sends a datagram, as lariat_datagram_port_send does, to an address.
 *
 * data    copied if it has to wait; may be NULL if len is 0.
 * len     how many bytes data has.
 * peer    as it was received, or parsed. A port of both families takes either.
 * errors  as lariat_datagram_port_send; LARIAT_ERR_INVALID_ARGUMENT for an address of another family than the port's.
 * thread  the reactor's.
 * Twisted IUDPTransport.write with an address. */
LARIAT_API lariat_status lariat_datagram_port_send_to(lariat_datagram_port *port, const uint8_t *data, size_t len,
                                                      const lariat_address *peer);

/* Sends datagrams, in order, by as few calls to the system as it makes possible. Those with a segment_size go as
 * several of this size each, by the kernel where it can (UDP_SEGMENT), else one by one.
 *
 * datagrams  what lariat_datagram_port_send_to is given, for each; may be NULL if count is 0.
 * count      how many they are.
 * sent       written, also on failure: how many of the first were accepted; may be NULL.
 * returns    LARIAT_OK: all were accepted; else why the next one was not. No later one is tried then.
 * errors     as lariat_datagram_port_send_to.
 * thread     the reactor's. */
LARIAT_API lariat_status lariat_datagram_port_send_batch(lariat_datagram_port *port, const lariat_datagram *datagrams,
                                                         size_t count, size_t *sent);

/* Sets whom lariat_datagram_port_send sends to. What others send is not received any more, and that datagrams are
 * refused is told by datagram_failed. A second call sets another.
 *
 * endpoint  an address, such as udp://127.0.0.1:53 or unix-datagram:///run/x; nothing is looked up.
 * errors    LARIAT_ERR_BAD_ENDPOINT; LARIAT_ERR_INVALID_ARGUMENT for another family than the port's;
 *           LARIAT_ERR_UNREACHABLE; LARIAT_ERR_CONNECTION_REFUSED for a Unix socket that nobody has; LARIAT_ERR_CLOSED;
 *           LARIAT_ERR_OS.
 * thread    the reactor's.
 * Twisted   IUDPTransport.connect. */
LARIAT_API lariat_status lariat_datagram_port_connect(lariat_datagram_port *port, const char *endpoint);

/* Closes a port: it receives nothing after this call, also of what the present turn has found. What waits to be sent
 * goes out as far as there is room.
 *
 * returns  a Deferred that fires with NULL once stopped was told, never from inside this call; NULL on failure.
 * errors   LARIAT_ERR_CLOSED when it was stopped already.
 * thread   the reactor's.
 * Twisted  IListeningPort.stopListening. */
LARIAT_API lariat_deferred *lariat_datagram_port_stop(lariat_datagram_port *port);

/* Receives no more until resumed; the system keeps what it has room for, and drops the rest.
 *
 * errors   LARIAT_ERR_CLOSED.
 * thread   the reactor's.
 * Twisted  IUDPTransport.stopReading. */
LARIAT_API lariat_status lariat_datagram_port_pause_reading(lariat_datagram_port *port);

/* Receives again.
 *
 * errors   LARIAT_ERR_CLOSED.
 * thread   the reactor's.
 * Twisted  IUDPTransport.startReading. */
LARIAT_API lariat_status lariat_datagram_port_resume_reading(lariat_datagram_port *port);

/* Tells the number of a port: the one that the system has picked, where port 0 was asked for.
 *
 * returns  1 to 65535; 0 of a Unix socket; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_datagram_port_number(lariat_datagram_port *port);

/* Tells where a port is, as an endpoint: udp://127.0.0.1:4000.
 *
 * text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
 * capacity  how many bytes text has.
 * length    written: how many bytes there are, without the NUL; may be NULL.
 * errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_CLOSED.
 * thread    the reactor's.
 * Twisted   IListeningPort.getHost. */
LARIAT_API lariat_status lariat_datagram_port_address(lariat_datagram_port *port, char *text, size_t capacity,
                                                      size_t *length);

/* Tells the descriptor of a port, for what the library has no call for: an option of the socket, a query.
 *
 * fd      written: stays the library's, not to be read from, written to or closed; good until it is stopped.
 * errors  LARIAT_ERR_CLOSED; LARIAT_ERR_NOT_SUPPORTED by a simulated reactor.
 * thread  the reactor's.
 * Twisted ISystemHandle.getHandle. */
LARIAT_API lariat_status lariat_datagram_port_descriptor(lariat_datagram_port *port, lariat_socket *fd);

/* Tells how much waits to be sent.
 *
 * returns  bytes; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_datagram_port_buffered(lariat_datagram_port *port);

/* Sets how much may wait to be sent while the system has no room; what is sent beyond that is refused with
 * LARIAT_ERR_BUFFER_FULL.
 *
 * bytes   at most so many, each datagram counting as 64 more; 1 MiB unless set; 0: nothing waits.
 * errors  LARIAT_ERR_CLOSED.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_datagram_port_set_max_buffer(lariat_datagram_port *port, uint64_t bytes);

/* Allows sending to broadcast addresses, or forbids it, as it is at first.
 *
 * on       0 or 1.
 * errors   LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
 * thread   the reactor's.
 * Twisted  IUDPTransport.setBroadcastAllowed. */
LARIAT_API lariat_status lariat_datagram_port_set_broadcast(lariat_datagram_port *port, int32_t on);

/* Sets how many hops what is sent may take.
 *
 * hops    1 to 255.
 * errors  LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
 * thread  the reactor's.
 * RFC     791 (time to live), 8200 (hop limit). */
LARIAT_API lariat_status lariat_datagram_port_set_time_to_live(lariat_datagram_port *port, int32_t hops);

/* Sets the type of service of what is sent, or the traffic class of IPv6.
 *
 * value   0 to 255: the DSCP in the upper six bits.
 * errors  LARIAT_ERR_CLOSED; LARIAT_ERR_PERMISSION_DENIED; LARIAT_ERR_OS.
 * thread  the reactor's.
 * RFC     2474. */
LARIAT_API lariat_status lariat_datagram_port_set_type_of_service(lariat_datagram_port *port, int32_t value);

/* Sets how large the system's buffers are; it may take other sizes than those.
 *
 * receive  bytes for what is received; 0: as it is.
 * send     bytes for what is sent; 0: as it is.
 * errors   LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_datagram_port_set_buffer_sizes(lariat_datagram_port *port, int64_t receive,
                                                               int64_t send);

/* ---- Multicast: groups that a datagram port is in, and how it sends to groups ------------------------------------ */

/* Joins a group: the port receives what is sent to it, at the port's own number.
 *
 * group      an IPv4 or IPv6 multicast address: "239.1.2.3", "ff02::1234".
 * interface  the network interface, by its address, name or number; may be NULL: the system picks one.
 * errors     LARIAT_ERR_INVALID_ARGUMENT: no such group or interface; LARIAT_ERR_ADDRESS_IN_USE: joined already;
 *            LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
 * thread     the reactor's.
 * Twisted    IMulticastTransport.joinGroup; RFC 1112, 3678. */
LARIAT_API lariat_status lariat_datagram_port_join_group(lariat_datagram_port *port, const char *group,
                                                         const char *interface);

/* Leaves a group.
 *
 * group      as it was joined.
 * interface  as it was joined.
 * errors     LARIAT_ERR_ADDRESS_NOT_AVAILABLE: the port is not in it; those of lariat_datagram_port_join_group.
 * thread     the reactor's.
 * Twisted    IMulticastTransport.leaveGroup. */
LARIAT_API lariat_status lariat_datagram_port_leave_group(lariat_datagram_port *port, const char *group,
                                                          const char *interface);

/* Sets whether what is sent to a group comes to the members on this host too, as it does at first.
 *
 * on       0 or 1.
 * errors   LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
 * thread   the reactor's.
 * Twisted  IMulticastTransport.setLoopbackMode. */
LARIAT_API lariat_status lariat_datagram_port_set_multicast_loop(lariat_datagram_port *port, int32_t on);

/* Sets how many hops what is sent to a group may take; 1 unless set.
 *
 * hops     0 to 255; 0: it stays on this host.
 * errors   LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
 * thread   the reactor's.
 * Twisted  IMulticastTransport.setTTL. */
LARIAT_API lariat_status lariat_datagram_port_set_multicast_time_to_live(lariat_datagram_port *port, int32_t hops);

/* Sets the network interface that what is sent to a group leaves by.
 *
 * interface  by its address, name or number; may be NULL: the system picks one, as it does at first.
 * errors     LARIAT_ERR_INVALID_ARGUMENT: no such interface; LARIAT_ERR_CLOSED; LARIAT_ERR_OS.
 * thread     the reactor's.
 * Twisted    IMulticastTransport.setOutgoingInterface. */
LARIAT_API lariat_status lariat_datagram_port_set_multicast_interface(lariat_datagram_port *port,
                                                                      const char *interface);

/* ---- How WebSockets behave --------------------------------------------------------------------------------------- */

enum {
    LARIAT_WEBSOCKET_COMPRESSION_NONE = 0,    /* No compression. */
    LARIAT_WEBSOCKET_COMPRESSION_DEFLATE = 1, /* permessage-deflate (RFC 7692), where the peer has it, too. */
};

/* How a WebSocket behaves, on either side: to be filled by lariat_websocket_options_init and changed. */
typedef struct lariat_websocket_options {
    /* Set by lariat_websocket_options_init. */
    uint32_t struct_size;
    /* LARIAT_WEBSOCKET_COMPRESSION_NONE (default) or LARIAT_WEBSOCKET_COMPRESSION_DEFLATE: that takes up to 300 KiB a
     * connection that compresses, 40 KiB one that is sent something compressed, unless the windows are smaller or the
     * context is not taken over. */
    int32_t compression;
    /* Subprotocols that are spoken, the dearest first; ends with NULL; may be NULL: none. A server chooses the first that
     * the client offers, too, or none. */
    const char *const *subprotocols;
    /* Of a server: origins, as "https://example.org", whose pages may connect, "*" for all; ends with NULL. NULL (default):
     * those of the host that the request is for. A request without an origin comes from no browser, and is accepted. */
    const char *const *origins;
    /* Headers of a client's request besides those of the handshake, each as "Name: value"; ends with NULL; may be NULL.
     */
    const char *const *headers;
    /* Of a client's wss://: what it trusts and shows, by lariat_tls_configuration_new_client, kept as long as it is needed;
     * may be NULL: the system's roots. */
    const lariat_tls_configuration *tls;
    /* Bytes of a message that comes, uncompressed; 0: no limit. One that is longer ends the WebSocket with 1009. Default
     * 16777216. */
    uint64_t max_message;
    /* Bytes of a frame that comes; 0: no limit but that of its message (default). */
    uint64_t max_frame;
    /* Frames that a message comes in; 0: no limit. More end the WebSocket with 1009. Default 131072. */
    uint32_t max_fragments;
    /* Of a client: bytes of the head of the server's answer. Default 16384. */
    uint32_t max_head;
    /* Bytes that may wait to be sent: what does not fit is refused with LARIAT_ERR_BUFFER_FULL; 0: no limit (default).
     */
    uint64_t max_buffered;
    /* Of a client: seconds that connecting and the handshake may take together. Default 30. */
    double handshake_seconds;
    /* Seconds that the peer has to answer a close frame, and to end the connection. Default 10. */
    double close_seconds;
    /* Seconds without anything from the peer after which it is sent a ping, or INFINITY. Default 30. */
    double ping_seconds;
    /* Seconds that it then has to send anything: else the connection ends. Default 20. */
    double pong_seconds;
    /* Seconds without a message in either direction after which the WebSocket is closed with 1001, or INFINITY (default).
     */
    double idle_seconds;
    /* How hard is compressed: 1 to 9. Default 6. */
    int32_t compression_level;
    /* Messages of fewer bytes are sent as they are. Default 1024. */
    uint32_t compression_threshold;
    /* The base-2 logarithm of the window for what is sent: 9 to 15. Default 15. */
    int32_t window_bits;
    /* The same for what the peer sends, as far as it can be told so. Default 15. */
    int32_t peer_window_bits;
    /* 1: each message that is sent is compressed by itself, and takes no memory afterwards; 0: it may refer to those before
     * (default). */
    int32_t no_context_takeover;
    /* The same for what the peer sends. */
    int32_t peer_no_context_takeover;
} lariat_websocket_options;

/* Fills the options of a WebSocket with the defaults.
 *
 * options      written.
 * struct_size  sizeof(lariat_websocket_options).
 * thread       any. */
LARIAT_API lariat_status lariat_websocket_options_init(lariat_websocket_options *options, uint32_t struct_size);

/* ---- What the owner of a WebSocket wants to be told -------------------------------------------------------------- */

enum {
    LARIAT_WEBSOCKET_TEXT = 1,   /* A message of text: UTF-8. */
    LARIAT_WEBSOCKET_BINARY = 2, /* A message of any bytes. */
};

/* Told that a WebSocket is open, on the reactor's thread, before anything else of it.
 *
 * websocket  the WebSocket: messages can be sent.
 * self       as given with the protocol. */
typedef void (*lariat_websocket_opened_fn)(lariat_websocket *websocket, void *self);

/* Told that a message has come, on the reactor's thread. What it sends goes out when it returns.
 *
 * websocket  the WebSocket.
 * kind       LARIAT_WEBSOCKET_TEXT, which is valid UTF-8, or LARIAT_WEBSOCKET_BINARY.
 * data       len bytes, until the function returns; no NUL is behind them.
 * len        bytes; may be 0.
 * self       as given with the protocol. */
typedef void (*lariat_websocket_message_received_fn)(lariat_websocket *websocket, int32_t kind, const uint8_t *data,
                                                     size_t len, void *self);

/* Told that a piece of a message has come, on the reactor's thread: as it arrives, whatever its frames and fragments.
 *
 * websocket  the WebSocket.
 * kind       LARIAT_WEBSOCKET_TEXT or LARIAT_WEBSOCKET_BINARY, the same for all pieces of a message.
 * data       len bytes, until the function returns. Of text, all that came so far is the beginning of valid UTF-8; a
 *            piece may end within a character.
 * len        bytes; 0 only of the last piece.
 * is_last    1: the message is whole; 0: more follows.
 * self       as given with the protocol. */
typedef void (*lariat_websocket_fragment_received_fn)(lariat_websocket *websocket, int32_t kind, const uint8_t *data,
                                                      size_t len, int32_t is_last, void *self);

/* Told that a pong has come, on the reactor's thread: the answer to a ping, or one that nobody asked for.
 *
 * websocket  the WebSocket.
 * data       len bytes, as the ping had them, until the function returns.
 * len        0 to 125.
 * self       as given with the protocol. */
typedef void (*lariat_websocket_pong_received_fn)(lariat_websocket *websocket, const uint8_t *data, size_t len,
                                                  void *self);

/* Told that a WebSocket is over, on the reactor's thread, once and last, never from inside the call that ended it, but for
 * the free of the reactor and the end of a scope.
 *
 * websocket  the WebSocket, which can do nothing any more; stale when the function returns.
 * code       the peer's; 1005: its close frame had none; 1006: the connection has ended without one. Of a WebSocket that
 *            was failed here, what the peer was told: 1002 it broke the protocol, 1007 it sent invalid data, 1009 too much,
 *            1011 there was no memory.
 * reason     the peer's, UTF-8; else what has happened, in words. Never NULL; valid until the function returns.
 * failure    LARIAT_CONNECTION_DONE: it was a clean end, both sides have sent a close frame; else why not:
 *            LARIAT_ERR_TRUNCATED the peer ended the connection, LARIAT_ERR_CONNECTION_LOST it is lost,
 *            LARIAT_ERR_CONNECTION_ABORTED by lariat_websocket_abort, LARIAT_ERR_TIMED_OUT the peer has not answered a ping
 *            or the close frame, LARIAT_ERR_BAD_FRAME, LARIAT_ERR_TOO_LONG, LARIAT_ERR_NO_MEMORY it was failed here,
 *            LARIAT_ERR_CLOSED its scope or its reactor ends. Valid until the function returns, unless kept.
 * self       as given with the protocol; freed afterwards by its free_self. */
typedef void (*lariat_websocket_closed_fn)(lariat_websocket *websocket, int32_t code, const char *reason,
                                           const lariat_failure *failure, void *self);

/* What the owner of a WebSocket wants to be told: to be filled by lariat_websocket_protocol_init, changed, and given to
 * what opens one, which copies it. Every function may be NULL.
 *
 * Twisted  autobahn's WebSocketProtocol: onOpen, onMessage, onPong, onClose. */
typedef struct lariat_websocket_protocol {
    /* Set by lariat_websocket_protocol_init. */
    uint32_t struct_size;
    /* 0. */
    uint32_t reserved;
    /* It is open. */
    lariat_websocket_opened_fn opened;
    /* A whole message has come. Not called if there is a fragment_received. */
    lariat_websocket_message_received_fn message_received;
    /* A piece of a message has come. With this, no message is put together: memory does not limit its size. */
    lariat_websocket_fragment_received_fn fragment_received;
    /* A pong has come. Pings are answered without being told. */
    lariat_websocket_pong_received_fn pong_received;
    /* It is over. */
    lariat_websocket_closed_fn closed;
    /* Frees self; called once, in every outcome. */
    lariat_free_fn free_self;
} lariat_websocket_protocol;

/* Fills the protocol of a WebSocket with nothing to be told.
 *
 * protocol     written.
 * struct_size  sizeof(lariat_websocket_protocol).
 * thread       any. */
LARIAT_API lariat_status lariat_websocket_protocol_init(lariat_websocket_protocol *protocol, uint32_t struct_size);

/* ---- WebSockets: connecting, sending, closing -------------------------------------------------------------------- */

/* Connects to a WebSocket: looks the name up, connects as lariat_reactor_connect does, and asks the server for it. The
 * server's answer is checked to the letter; redirects are not followed.
 *
 * url       "ws://example.org/path?query" or "wss://..."; a user and password become an Authorization header.
 * options   copied; may be NULL: the defaults.
 * protocol  copied; its opened is called before the Deferred fires.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   a Deferred that fires with the lariat_websocket; cancelling it gives up. NULL on failure.
 * errors    LARIAT_ERR_INVALID_ARGUMENT for what is no such URL. The Deferred fails as that of lariat_reactor_connect,
 *           with LARIAT_ERR_WEBSOCKET_HANDSHAKE when the server refuses or its answer is none, LARIAT_ERR_TOO_LONG,
 *           LARIAT_ERR_TRUNCATED or LARIAT_ERR_TIMED_OUT; its message names the URL. Nothing of the protocol but
 *           free_self is called then.
 * thread    the reactor's. Nothing is called from inside this call.
 * Twisted   autobahn's WebSocketClientFactory; RFC 6455, section 4.1. */
LARIAT_API lariat_deferred *lariat_reactor_connect_websocket(lariat_reactor *reactor, const char *url,
                                                             const lariat_websocket_options *options,
                                                             const lariat_websocket_protocol *protocol, void *self);

/* The same as lariat_reactor_connect_websocket, but queues events instead of calling: LARIAT_EVENT_WEBSOCKET_OPENED, _TEXT,
 * _BINARY, _PONG and _CLOSED. While the queue is full, nothing is read.
 *
 * url      as for lariat_reactor_connect_websocket.
 * options  as for lariat_reactor_connect_websocket.
 * tag      any number; comes back in the events.
 * returns  as lariat_reactor_connect_websocket does.
 * thread   the reactor's. */
LARIAT_API lariat_deferred *lariat_reactor_connect_websocket_event(lariat_reactor *reactor, const char *url,
                                                                   const lariat_websocket_options *options,
                                                                   uint64_t tag);

/* Takes the connection of a request over as a WebSocket: checks what the client asks for, answers with 101, and the request
 * is over. Headers that were set with the request are sent with that. Where the client asks for something else, or in a
 * wrong way, it is answered with 400, 403 (the page is of another origin), 405 or 426, and that was it, too. What the handler
 * does not like, as a cookie or a path, it answers itself before this.
 *
 * options   copied; may be NULL: the defaults.
 * protocol  copied; its opened is called by the next turn.
 * self      what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns   the WebSocket, which can be sent to at once; NULL on failure.
 * errors    LARIAT_ERR_WEBSOCKET_HANDSHAKE when the request was refused, and was answered; LARIAT_ERR_INVALID_STATE when the
 *           response was begun; LARIAT_ERR_NOT_SUPPORTED by HTTP/2; LARIAT_ERR_CLOSED when the client is gone.
 * thread    the reactor's. Nothing of the protocol is called from inside this call, but free_self when it fails.
 * Twisted   autobahn's WebSocketResource; RFC 6455, section 4.2. */
LARIAT_API lariat_websocket *lariat_http_request_accept_websocket(lariat_http_request *request,
                                                                  const lariat_websocket_options *options,
                                                                  const lariat_websocket_protocol *protocol,
                                                                  void *self);

/* The same as lariat_http_request_accept_websocket, but queues events instead of calling, as
 * lariat_reactor_connect_websocket_event does.
 *
 * options  as for lariat_http_request_accept_websocket.
 * tag      any number; comes back in the events.
 * returns  as lariat_http_request_accept_websocket does.
 * errors   as of lariat_http_request_accept_websocket.
 * thread   the reactor's. */
LARIAT_API lariat_websocket *lariat_http_request_accept_websocket_event(lariat_http_request *request,
                                                                        const lariat_websocket_options *options,
                                                                        uint64_t tag);

/* Sends a message, in one frame. All of it is accepted, or nothing; what the peer does not read yet waits in memory, see
 * lariat_websocket_buffered.
 *
 * kind    LARIAT_WEBSOCKET_TEXT or LARIAT_WEBSOCKET_BINARY.
 * data    len bytes, copied; may be NULL if len is 0. Text is UTF-8.
 * len     bytes.
 * errors  LARIAT_ERR_INVALID_ARGUMENT for text that is not valid UTF-8; LARIAT_ERR_INVALID_STATE while a message that was
 *         begun by lariat_websocket_send_fragment is not ended; LARIAT_ERR_BUFFER_FULL when more than max_buffered would
 *         wait; LARIAT_ERR_CLOSED when it is closing or over.
 * thread  the reactor's.
 * Twisted autobahn's sendMessage. */
LARIAT_API lariat_status lariat_websocket_send(lariat_websocket *websocket, int32_t kind, const uint8_t *data,
                                               size_t len);

/* The same as lariat_websocket_send with a text that ends with NUL.
 *
 * text    UTF-8, copied.
 * errors  as of lariat_websocket_send.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_websocket_send_text(lariat_websocket *websocket, const char *text);

/* The same as lariat_websocket_send with any bytes.
 *
 * data    len bytes, copied; may be NULL if len is 0.
 * len     bytes.
 * errors  as of lariat_websocket_send.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_websocket_send_binary(lariat_websocket *websocket, const uint8_t *data, size_t len);

/* Sends a message fragment by fragment, for one that is not in memory as a whole: the first call begins it. Until it is
 * ended no other message can be sent; pings can.
 *
 * kind     LARIAT_WEBSOCKET_TEXT or LARIAT_WEBSOCKET_BINARY, the same for all fragments of a message.
 * data     len bytes, copied; may be NULL if len is 0. A text may be cut within a character.
 * len      bytes.
 * is_last  1: the message ends with this; 0: more follows.
 * errors   as of lariat_websocket_send; LARIAT_ERR_INVALID_STATE for another kind than the message began with. What is
 *          refused is no part of the message, which can go on.
 * thread   the reactor's.
 * Twisted  autobahn's beginMessage, sendMessageFrame and endMessage. */
LARIAT_API lariat_status lariat_websocket_send_fragment(lariat_websocket *websocket, int32_t kind, const uint8_t *data,
                                                        size_t len, int32_t is_last);

/* Sends a ping, which the peer answers by a pong with the same data: the protocol's pong_received is told. The options'
 * ping_seconds does so by itself.
 *
 * data    len bytes, copied; may be NULL if len is 0.
 * len     0 to 125.
 * errors  LARIAT_ERR_CLOSED when it is closing or over.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_websocket_ping(lariat_websocket *websocket, const uint8_t *data, size_t len);

/* Closes a WebSocket: what was sent before goes out, then a close frame, and it is over when the peer has answered that or
 * the options' close_seconds have passed. Messages that come before the answer are still told, also if reading was paused.
 *
 * code    1000 to 1003, 1007 to 1014, or 3000 to 4999; 0: none.
 * reason  UTF-8 of at most 123 bytes, copied; may be NULL: empty. With code 0 it is empty.
 * errors  LARIAT_ERR_CLOSED when it is closing or over.
 * thread  the reactor's. closed is told later, never from inside this call.
 * Twisted autobahn's sendClose; RFC 6455, section 7. */
LARIAT_API lariat_status lariat_websocket_close(lariat_websocket *websocket, int32_t code, const char *reason);

/* Ends a WebSocket at once, without a close frame: what waits to be sent is dropped, and the connection reset.
 *
 * errors  LARIAT_ERR_CLOSED when it is over.
 * thread  the reactor's. closed is told later, never from inside this call. */
LARIAT_API lariat_status lariat_websocket_abort(lariat_websocket *websocket);

/* Tells the connection of a WebSocket: for its addresses and options, for water marks and producers, for limits of rate. It
 * is not to be written to; another protocol or framing is refused.
 *
 * returns  the connection, stale with the WebSocket; NULL on failure.
 * thread   the reactor's. */
LARIAT_API lariat_transport *lariat_websocket_transport(lariat_websocket *websocket);

/* Tells how many bytes wait to be sent, with what frames them.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_websocket_buffered(lariat_websocket *websocket);

/* Takes no more messages until resumed: none is told, also of those that have come, and the peer is held up by the system.
 * Pings are not answered meanwhile.
 *
 * errors  LARIAT_ERR_CLOSED when the connection is over.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_websocket_pause_reading(lariat_websocket *websocket);

/* Takes messages again. Those that have come are told on the next turn.
 *
 * errors  LARIAT_ERR_CLOSED when the connection is over.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_websocket_resume_reading(lariat_websocket *websocket);

/* Tells whether messages can be sent: neither side has closed yet.
 *
 * returns  1 or 0; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_websocket_is_open(lariat_websocket *websocket);

/* Tells whether permessage-deflate was agreed on.
 *
 * returns  1 or 0; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_websocket_is_compressed(lariat_websocket *websocket);

/* Tells the subprotocol that was agreed on.
 *
 * returns  text that lives as long as the WebSocket; NULL: there is none, or on failure.
 * thread   the reactor's. */
LARIAT_API const char *lariat_websocket_subprotocol(lariat_websocket *websocket);

/* ---- Names and the addresses that they lead to ------------------------------------------------------------------- */

enum {
    LARIAT_FAMILY_ANY = 0,  /* IPv4 and IPv6 alike. */
    LARIAT_FAMILY_IPV4 = 4, /* IPv4. */
    LARIAT_FAMILY_IPV6 = 6, /* IPv6. */
};

/* Looks a name up: by the reactor's resolver if it has one, else by the system, on threads of the reactor's own that
 * are not those of its pool. On a simulated reactor the names are those of its world. What is an address already needs
 * no look-up, and its Deferred has fired. Cancelling gives the look-up up at once.
 *
 * name     UTF-8, copied; not empty. An IP address is taken as one.
 * family   LARIAT_FAMILY_ANY, LARIAT_FAMILY_IPV4 or LARIAT_FAMILY_IPV6.
 * seconds  how long to wait at most, 0 or more, or INFINITY; 0: 60.
 * returns  a Deferred that fires with a lariat_addresses, at least one and in the order in which they are best tried;
 *          NULL on failure. It fails with LARIAT_ERR_NAME_NOT_FOUND, with LARIAT_ERR_LOOKUP_FAILED when that could not
 *          be found out, or with LARIAT_ERR_TIMED_OUT; the message names the name.
 * errors   LARIAT_ERR_OS when no thread can be started; LARIAT_ERR_REENTRANT when the reactor's resolver asks itself.
 * thread   the reactor's.
 * Twisted  IReactorPluggableNameResolver.nameResolver, and reactor.resolve. */
LARIAT_API lariat_deferred *lariat_reactor_resolve(lariat_reactor *reactor, const char *name, int32_t family,
                                                   double seconds);

/* The same as lariat_reactor_resolve, whatever lariat_reactor_set_resolver was given: for a resolver that passes on
 * what it does not know.
 *
 * thread  the reactor's. */
LARIAT_API lariat_deferred *lariat_reactor_resolve_by_system(lariat_reactor *reactor, const char *name, int32_t family,
                                                             double seconds);

/* Has the reactor ask fn(reactor, name, family, answer, user_data) for names from here on, and no longer the system or
 * whoever was asked before. What is an address already is not asked for.
 *
 * fn         may be NULL: the system is asked again.
 * user_data  may be NULL; passed through.
 * thread     the reactor's.
 * Twisted    IReactorPluggableNameResolver.installNameResolver. */
LARIAT_API lariat_status lariat_reactor_set_resolver(lariat_reactor *reactor, lariat_resolver_fn fn, void *user_data);

/* The same as lariat_reactor_set_resolver, with user_data owned by the library from here on: free_user_data(user_data)
 * is called exactly once, when fn is not called any more, because another one was set, its scope ended or the reactor
 * is freed, or before this fails.
 *
 * fn              may be NULL: the system is asked again, and user_data is freed at once.
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_reactor_set_resolver_full(lariat_reactor *reactor, lariat_resolver_fn fn,
                                                          void *user_data, lariat_free_fn free_user_data);

/* Tells how many addresses there are.
 *
 * returns  the count; 0 on failure.
 * thread   the reactor's. */
LARIAT_API size_t lariat_addresses_count(const lariat_addresses *addresses);

/* Gives an address in words: "192.0.2.1", "2001:db8::1", or "fe80::1%2" where it needs its interface. In an endpoint the
 * latter two stand in brackets.
 *
 * index    0 to lariat_addresses_count - 1.
 * returns  text that lives as long as the addresses; NULL on failure.
 * thread   the reactor's. */
LARIAT_API const char *lariat_addresses_text(const lariat_addresses *addresses, size_t index);

/* Tells the family of an address.
 *
 * index    0 to lariat_addresses_count - 1.
 * returns  LARIAT_FAMILY_IPV4 or LARIAT_FAMILY_IPV6; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_addresses_family(const lariat_addresses *addresses, size_t index);

/* Adds an address to those that a resolver was given to fill in.
 *
 * address  an IP address in words, as lariat_addresses_text gives it.
 * errors   LARIAT_ERR_INVALID_STATE for any other addresses; LARIAT_ERR_STALE_HANDLE when the look-up is over.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_addresses_add(lariat_addresses *addresses, const char *address);

/* Frees addresses that were taken by lariat_deferred_take, or that nobody will look at any more. Those that were not
 * taken are freed with their Deferred.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_addresses_free(lariat_addresses *addresses);

/* ---- Files: opened, read and written on the thread pool ---------------------------------------------------------- */

enum {
    /* Open it to be read. */
    LARIAT_FILE_READ = 1,
    /* Open it to be written. */
    LARIAT_FILE_WRITE = 2,
    /* Open it to be written, and have each write go to the end, also if others write there too. */
    LARIAT_FILE_APPEND = 4,
    /* Make it if it is not there. Needs LARIAT_FILE_WRITE or LARIAT_FILE_APPEND. */
    LARIAT_FILE_CREATE = 8,
    /* With LARIAT_FILE_CREATE: it must not be there yet, not even as a symbolic link. */
    LARIAT_FILE_EXCLUSIVE = 16,
    /* Throw away what is in it. Needs LARIAT_FILE_WRITE without LARIAT_FILE_APPEND. */
    LARIAT_FILE_TRUNCATE = 32,
    /* Do not wait until it has reached the disk, where that is the rule. */
    LARIAT_FILE_UNSYNCED = 64,
    /* A temporary file that has no name, and is gone when it is closed, or the process ends. */
    LARIAT_FILE_UNNAMED = 128,
};

enum {
    LARIAT_SEEK_START = 0,   /* From the beginning of the file. */
    LARIAT_SEEK_CURRENT = 1, /* From the position. */
    LARIAT_SEEK_END = 2,     /* From the end of the file. */
};

/* Opens a file. It is not inherited by programs that the process executes.
 *
 * path     bytes, ended by NUL, copied.
 * flags    LARIAT_FILE_READ and LARIAT_FILE_WRITE or LARIAT_FILE_APPEND, with some of LARIAT_FILE_CREATE,
 *          LARIAT_FILE_EXCLUSIVE and LARIAT_FILE_TRUNCATE.
 * mode     the permissions of a file that is made, less the umask, such as 0666; else not looked at.
 * returns  a Deferred of a lariat_file, which joins the present scope; NULL on failure. It fails with
 *          LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_ALREADY_EXISTS, LARIAT_ERR_NOT_A_DIRECTORY,
 *          LARIAT_ERR_NOT_A_FILE for a directory or a named pipe, LARIAT_ERR_TOO_MANY_DESCRIPTORS,
 *          LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message names the path. If it is cancelled, the file is closed.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    open. */
LARIAT_API lariat_deferred *lariat_reactor_open_file(lariat_reactor *reactor, const char *path, int32_t flags,
                                                     uint32_t mode);

/* Makes a file with a name that nothing has, and with permissions for its owner alone, and opens it to be read and
 * written.
 *
 * directory  where; bytes, ended by NUL, copied; may be NULL: where TMPDIR says, or /tmp.
 * prefix     what its name begins with; bytes, ended by NUL, copied; may be NULL: "lariat-".
 * flags      LARIAT_FILE_UNNAMED: its name is taken away at once; 0: it keeps its name, which lariat_file_path tells,
 *            and is not removed by itself.
 * returns    a Deferred of a lariat_file, which joins the present scope; NULL on failure. It fails with
 *            LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NO_SPACE,
 *            LARIAT_ERR_TOO_MANY_DESCRIPTORS or LARIAT_ERR_OS; the message names the directory. If it is cancelled, no
 *            file is left.
 * errors     LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread     the reactor's.
 * POSIX      mkstemp, tmpfile. */
LARIAT_API lariat_deferred *lariat_reactor_open_temporary_file(lariat_reactor *reactor, const char *directory,
                                                               const char *prefix, int32_t flags);

/* Tells the path that a file was opened by.
 *
 * returns  text that lives as long as the handle; NULL on failure. Of an unnamed temporary file: what it once was.
 * thread   the reactor's. */
LARIAT_API const char *lariat_file_path(const lariat_file *file);

/* Reads from the position, and moves it on. What is done to one file is done in the order asked for, each when the one
 * before is done. Of a device what is there is given, once something is.
 *
 * length   so many bytes at most; fewer only at the end of the file.
 * returns  a Deferred of a lariat_bytes, empty at the end; NULL on failure. It fails with LARIAT_ERR_NO_MEMORY or
 *          LARIAT_ERR_OS; the message names the file. If it is cancelled after it has begun, the position may have
 *          moved.
 * errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    read. */
LARIAT_API lariat_deferred *lariat_file_read(lariat_file *file, size_t length);

/* The same as lariat_file_read, from a place; the position stays where it is.
 *
 * offset  from the beginning of the file, in bytes.
 * length  so many bytes at most; fewer only at the end of the file.
 * thread  the reactor's.
 * POSIX   pread. */
LARIAT_API lariat_deferred *lariat_file_read_at(lariat_file *file, uint64_t offset, size_t length);

/* Writes all of the bytes at the position, and moves it on; at the end, if the file was opened to append. In order with
 * what else is done to the file.
 *
 * data     len bytes, copied; may be NULL if len is 0.
 * len      how many.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NO_SPACE, LARIAT_ERR_TOO_LONG for a file that
 *          becomes too large, or LARIAT_ERR_OS; the message names the file, and says how much was written, if anything
 *          was. If it is cancelled after it has begun, some may have been written.
 * errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    write. */
LARIAT_API lariat_deferred *lariat_file_write(lariat_file *file, const uint8_t *data, size_t len);

/* The same as lariat_file_write, at a place; the position stays where it is. Between the old end of the file and the
 * place zeros are read from then on.
 *
 * offset  from the beginning of the file, in bytes.
 * data    len bytes, copied; may be NULL if len is 0.
 * len     how many.
 * errors  LARIAT_ERR_INVALID_STATE when the file was opened to append; as lariat_file_write.
 * thread  the reactor's.
 * POSIX   pwrite. */
LARIAT_API lariat_deferred *lariat_file_write_at(lariat_file *file, uint64_t offset, const uint8_t *data, size_t len);

/* The same as lariat_file_write, at the end of the file, where the position then is. Another program that writes there
 * at the same time is kept apart only if the file was opened with LARIAT_FILE_APPEND.
 *
 * data    len bytes, copied; may be NULL if len is 0.
 * len     how many.
 * thread  the reactor's. */
LARIAT_API lariat_deferred *lariat_file_append(lariat_file *file, const uint8_t *data, size_t len);

/* Moves the position.
 *
 * offset   in bytes; negative: before.
 * whence   from where: LARIAT_SEEK_START, LARIAT_SEEK_CURRENT or LARIAT_SEEK_END.
 * returns  a Deferred of the new position, from the beginning, in the place of a pointer; NULL on failure. It fails
 *          with LARIAT_ERR_OS, such as EINVAL for a place before the beginning; the message names the file.
 * errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    lseek. */
LARIAT_API lariat_deferred *lariat_file_seek(lariat_file *file, int64_t offset, int32_t whence);

/* Tells the position, when what was asked for before is done.
 *
 * returns  a Deferred of the position, from the beginning, in the place of a pointer; NULL on failure. It fails with
 *          LARIAT_ERR_OS for what has none; the message names the file.
 * errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's. */
LARIAT_API lariat_deferred *lariat_file_tell(lariat_file *file);

/* Tells the size, when what was asked for before is done.
 *
 * returns  a Deferred of how many bytes it has, in the place of a pointer; NULL on failure. It fails with
 *          LARIAT_ERR_OS; the message names the file.
 * errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's. */
LARIAT_API lariat_deferred *lariat_file_size(lariat_file *file);

/* Makes a file shorter, or longer by zeros that take no room; the position stays where it is.
 *
 * size     in bytes.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_OS, such as EINVAL for a file that was not
 *          opened to be written; the message names the file.
 * errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    ftruncate. */
LARIAT_API lariat_deferred *lariat_file_truncate(lariat_file *file, uint64_t size);

/* Has what was written reach the disk.
 *
 * data_only  1: of what is only about the file no more than is needed to read it again; 0: all of it.
 * returns    a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message names
 *            the file.
 * errors     LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread     the reactor's.
 * POSIX      fsync, fdatasync. */
LARIAT_API lariat_deferred *lariat_file_sync(lariat_file *file, int32_t data_only);

/* Finds out all that is known of a file, when what was asked for before is done.
 *
 * returns  a Deferred of a lariat_file_info; NULL on failure. It fails with LARIAT_ERR_OS; the message names the file.
 * errors   LARIAT_ERR_CLOSED after lariat_file_close; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    fstat. */
LARIAT_API lariat_deferred *lariat_file_stat(lariat_file *file);

/* Closes a file when what was asked for before is done; its handle is stale then. Its scope's end and its reactor's
 * close it too, and fail what waits with LARIAT_ERR_CLOSED.
 *
 * returns  a Deferred of NULL; NULL on failure. It fails when the system says only now that a write before has failed;
 *          the file is closed all the same. It need not be waited for; cancelling it does not keep the file open.
 * errors   LARIAT_ERR_CLOSED when it is being closed already.
 * thread   the reactor's.
 * POSIX    close. */
LARIAT_API lariat_deferred *lariat_file_close(lariat_file *file);

/* ---- What is done to a path, and to a whole file at once --------------------------------------------------------- */

enum {
    LARIAT_ACCESS_READ = 4,    /* It may be read. */
    LARIAT_ACCESS_WRITE = 2,   /* It may be written to. */
    LARIAT_ACCESS_EXECUTE = 1, /* It may be executed, or searched if it is a directory. */
};

/* Reads a whole file.
 *
 * path       bytes, ended by NUL, copied.
 * max_bytes  of a longer file nothing is given; 0: 256 MiB.
 * returns    a Deferred of a lariat_bytes; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND,
 *            LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NOT_A_FILE, LARIAT_ERR_TOO_LONG past max_bytes,
 *            LARIAT_ERR_NO_MEMORY or LARIAT_ERR_OS; the message names the path. Cancelling stops the reading.
 * errors     LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread     the reactor's.
 * Twisted    FilePath.getContent. */
LARIAT_API lariat_deferred *lariat_reactor_read_file(lariat_reactor *reactor, const char *path, size_t max_bytes);

/* Writes a whole file atomically: at any time, also after a crash, the path leads to the old content or to all of the
 * new. It is written beside the old one as .lariat- and ten letters, reaches the disk, and is renamed. An old file's
 * permissions, and its owner and group as far as the process may give them, are kept; extended attributes and other
 * names of it are not. A symbolic link stays, and what it leads to is replaced. If it fails or is cancelled before the
 * end, the old content stays and nothing is left beside it.
 *
 * path     bytes, ended by NUL, copied.
 * data     len bytes, copied; may be NULL if len is 0.
 * len      how many.
 * mode     the permissions of a file that is new, less the umask, such as 0666.
 * flags    LARIAT_FILE_EXCLUSIVE: nothing may have the path yet; LARIAT_FILE_UNSYNCED: whether it has reached the disk
 *          is not waited for, which is quicker, and after a crash of the system the file may be empty; or 0.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND for a directory that is not there,
 *          LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NOT_A_FILE when something else has the path,
 *          LARIAT_ERR_ALREADY_EXISTS, LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * Twisted  FilePath.setContent. */
LARIAT_API lariat_deferred *lariat_reactor_write_file(lariat_reactor *reactor, const char *path, const uint8_t *data,
                                                      size_t len, uint32_t mode, int32_t flags);

/* Copies a file with its permissions, but for set-user-ID and set-group-ID. The copy appears all at once, in place of a
 * file that has its path, as with lariat_reactor_write_file. Where the file system can, both share what they hold; else
 * the kernel copies where it can. Holes stay holes.
 *
 * from     the file; bytes, ended by NUL, copied.
 * to       the path of the copy; bytes, ended by NUL, copied.
 * flags    LARIAT_FILE_EXCLUSIVE, LARIAT_FILE_UNSYNCED, as for lariat_reactor_write_file, or 0.
 * returns  a Deferred of NULL; NULL on failure. It fails as those of lariat_reactor_read_file and
 *          lariat_reactor_write_file; the message names a path. Cancelling stops the copying, and leaves no part of it.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * Twisted  FilePath.copyTo. */
LARIAT_API lariat_deferred *lariat_reactor_copy_file(lariat_reactor *reactor, const char *from, const char *to,
                                                     int32_t flags);

/* Finds out whether something is there, and whether this process may use it. Somebody may change that before the answer
 * is read: to open it and see is surer.
 *
 * path     bytes, ended by NUL, copied.
 * access   some of LARIAT_ACCESS_READ, LARIAT_ACCESS_WRITE and LARIAT_ACCESS_EXECUTE; 0: whether it is there.
 * returns  a Deferred of 1 or 0 in the place of a pointer; NULL on failure. It fails with LARIAT_ERR_OS when that could
 *          not be found out; the message names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    faccessat with AT_EACCESS.
 * Twisted  FilePath.exists. */
LARIAT_API lariat_deferred *lariat_reactor_check_access(lariat_reactor *reactor, const char *path, int32_t access);

/* Renames a file or a directory, in one step; to another place on the same file system too.
 *
 * from     bytes, ended by NUL, copied.
 * to       bytes, ended by NUL, copied. A file there is replaced, and an empty directory by a directory.
 * flags    LARIAT_FILE_EXCLUSIVE: nothing may have that path yet; or 0.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED,
 *          LARIAT_ERR_ALREADY_EXISTS, LARIAT_ERR_NOT_EMPTY, or LARIAT_ERR_OS, such as EXDEV for another file system;
 *          the message names both paths.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    rename.
 * Twisted  FilePath.moveTo. */
LARIAT_API lariat_deferred *lariat_reactor_rename(lariat_reactor *reactor, const char *from, const char *to,
                                                  int32_t flags);

/* Removes a file, a symbolic link or whatever else is no directory.
 *
 * path     bytes, ended by NUL, copied.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED,
 *          LARIAT_ERR_NOT_A_FILE for a directory, or LARIAT_ERR_OS; the message names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    unlink. */
LARIAT_API lariat_deferred *lariat_reactor_remove_file(lariat_reactor *reactor, const char *path);

/* Gives a file a second name.
 *
 * from     the file; bytes, ended by NUL, copied.
 * to       its new name, which nothing may have yet; bytes, ended by NUL, copied.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_ALREADY_EXISTS,
 *          LARIAT_ERR_PERMISSION_DENIED, or LARIAT_ERR_OS; the message names both paths.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    link. */
LARIAT_API lariat_deferred *lariat_reactor_link(lariat_reactor *reactor, const char *from, const char *to);

/* Makes a symbolic link.
 *
 * target   where it leads, seen from where it is; need not be there; bytes, ended by NUL, copied.
 * path     the link, which nothing may have as its path yet; bytes, ended by NUL, copied.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_ALREADY_EXISTS, LARIAT_ERR_NOT_FOUND,
 *          LARIAT_ERR_PERMISSION_DENIED, or LARIAT_ERR_OS; the message names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    symlink.
 * Twisted  FilePath.linkTo. */
LARIAT_API lariat_deferred *lariat_reactor_symlink(lariat_reactor *reactor, const char *target, const char *path);

/* Finds out where a symbolic link leads.
 *
 * path     the link; bytes, ended by NUL, copied.
 * returns  a Deferred of a lariat_bytes, as it was given when the link was made; NULL on failure. It fails with
 *          LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED, or LARIAT_ERR_OS, which is EINVAL for what is no link;
 *          the message names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    readlink. */
LARIAT_API lariat_deferred *lariat_reactor_read_link(lariat_reactor *reactor, const char *path);

/* Finds out the absolute path of something, without symbolic links, "." and "..".
 *
 * path     bytes, ended by NUL, copied.
 * returns  a Deferred of a lariat_bytes; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND,
 *          LARIAT_ERR_PERMISSION_DENIED, or LARIAT_ERR_OS; the message names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    realpath.
 * Twisted  FilePath.realpath. */
LARIAT_API lariat_deferred *lariat_reactor_real_path(lariat_reactor *reactor, const char *path);

/* Sets the permissions of what has this path; of what a symbolic link leads to.
 *
 * path     bytes, ended by NUL, copied.
 * mode     up to 07777, whatever the umask. On Windows only whether anybody may write counts.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED, or
 *          LARIAT_ERR_OS; the message names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * Twisted  FilePath.chmod. */
LARIAT_API lariat_deferred *lariat_reactor_chmod(lariat_reactor *reactor, const char *path, uint32_t mode);

/* ---- Directories: listing, making, removing ---------------------------------------------------------------------- */

/* Opens a directory to be read bit by bit: however large it is, no more of it is in memory than was asked for.
 *
 * path     bytes, ended by NUL, copied.
 * returns  a Deferred of a lariat_directory, which joins the present scope; NULL on failure. It fails with
 *          LARIAT_ERR_NOT_FOUND, LARIAT_ERR_NOT_A_DIRECTORY, LARIAT_ERR_PERMISSION_DENIED,
 *          LARIAT_ERR_TOO_MANY_DESCRIPTORS or LARIAT_ERR_OS; the message names the path. If it is cancelled, the
 *          directory is closed.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    opendir. */
LARIAT_API lariat_deferred *lariat_reactor_open_directory(lariat_reactor *reactor, const char *path);

/* Tells the path that a directory was opened by.
 *
 * returns  text that lives as long as the handle; NULL on failure.
 * thread   the reactor's. */
LARIAT_API const char *lariat_directory_path(const lariat_directory *directory);

/* Reads the next entries of a directory, in no order; "." and ".." are left out. Reads are done in the order asked for.
 *
 * max_entries  so many at most, up to 65536; 0: 256.
 * returns      a Deferred of lariat_directory_entries, none of them at the end; NULL on failure. It fails with
 *              LARIAT_ERR_OS; the message names the directory. What a read that is cancelled late has read is lost.
 * errors       LARIAT_ERR_CLOSED after lariat_directory_close; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread       the reactor's.
 * POSIX        readdir. */
LARIAT_API lariat_deferred *lariat_directory_read(lariat_directory *directory, size_t max_entries);

/* Closes a directory when what was asked for before is done; its handle is stale then.
 *
 * returns  a Deferred of NULL; NULL on failure. It need not be waited for; cancelling it does not keep it open.
 * errors   LARIAT_ERR_CLOSED when it is being closed already.
 * thread   the reactor's. */
LARIAT_API lariat_deferred *lariat_directory_close(lariat_directory *directory);

/* Lists a whole directory, in the order of the bytes of the names; "." and ".." are left out.
 *
 * path         bytes, ended by NUL, copied.
 * max_entries  of a larger one nothing is given; 0: a million.
 * returns      a Deferred of lariat_directory_entries; NULL on failure. It fails as that of
 *              lariat_reactor_open_directory, and with LARIAT_ERR_LIMIT past max_entries.
 * errors       LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread       the reactor's.
 * Twisted      FilePath.listdir. */
LARIAT_API lariat_deferred *lariat_reactor_list_directory(lariat_reactor *reactor, const char *path,
                                                          size_t max_entries);

/* Tells how many entries there are.
 *
 * returns  the count; 0 on failure.
 * thread   the reactor's. */
LARIAT_API size_t lariat_directory_entries_count(const lariat_directory_entries *entries);

/* Gives the name of an entry, without the directory's.
 *
 * index    0 to lariat_directory_entries_count - 1.
 * returns  bytes, ended by NUL, that live as long as the entries; NULL on failure.
 * thread   the reactor's. */
LARIAT_API const char *lariat_directory_entries_name(const lariat_directory_entries *entries, size_t index);

/* Tells the kind of an entry; of a symbolic link itself.
 *
 * index    0 to lariat_directory_entries_count - 1.
 * returns  LARIAT_FILE_KIND_FILE and so on; 0: the file system does not tell, lariat_reactor_stat will; negative: an
 *          error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_directory_entries_kind(const lariat_directory_entries *entries, size_t index);

/* Frees entries that were taken by lariat_deferred_take, or that nobody will look at any more. Those that were not
 * taken are freed with their Deferred.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_directory_entries_free(lariat_directory_entries *entries);

/* Makes a directory.
 *
 * path     bytes, ended by NUL, copied.
 * mode     its permissions, less the umask, such as 0777.
 * parents  1: those above it that are missing are made too, with the same permissions, and one that is there already is
 *          no failure; 0: only this one.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_ALREADY_EXISTS,
 *          LARIAT_ERR_NOT_A_DIRECTORY, LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message
 *          names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    mkdir.
 * Twisted  FilePath.createDirectory, FilePath.makedirs. */
LARIAT_API lariat_deferred *lariat_reactor_make_directory(lariat_reactor *reactor, const char *path, uint32_t mode,
                                                          int32_t parents);

/* Makes a directory with a name that nothing has, and with permissions for its owner alone. It is not removed by
 * itself.
 *
 * directory  where; bytes, ended by NUL, copied; may be NULL: where TMPDIR says, or /tmp.
 * prefix     what its name begins with; bytes, ended by NUL, copied; may be NULL: "lariat-".
 * returns    a Deferred of a lariat_bytes, its path; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND,
 *            LARIAT_ERR_PERMISSION_DENIED, LARIAT_ERR_NO_SPACE or LARIAT_ERR_OS; the message names the directory where
 *            it was to be. If it is cancelled, no directory is left.
 * errors     LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread     the reactor's.
 * POSIX      mkdtemp. */
LARIAT_API lariat_deferred *lariat_reactor_make_temporary_directory(lariat_reactor *reactor, const char *directory,
                                                                    const char *prefix);

/* Removes an empty directory.
 *
 * path     bytes, ended by NUL, copied.
 * returns  a Deferred of NULL; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND, LARIAT_ERR_NOT_A_DIRECTORY,
 *          LARIAT_ERR_NOT_EMPTY, LARIAT_ERR_PERMISSION_DENIED or LARIAT_ERR_OS; the message names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    rmdir. */
LARIAT_API lariat_deferred *lariat_reactor_remove_directory(lariat_reactor *reactor, const char *path);

/* Removes a directory with all that is in it, or whatever else has this path. Symbolic links are removed, never
 * followed, also when somebody puts one in the way meanwhile. Cancelling leaves what is not removed yet.
 *
 * path     bytes, ended by NUL, copied.
 * returns  a Deferred of NULL; NULL on failure. It stops at the first thing that cannot be removed, with
 *          LARIAT_ERR_PERMISSION_DENIED or LARIAT_ERR_OS, whose path is in the message; and fails with
 *          LARIAT_ERR_NOT_FOUND when there is nothing, with LARIAT_ERR_INVALID_ARGUMENT for the root.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * Twisted  FilePath.remove. */
LARIAT_API lariat_deferred *lariat_reactor_remove_tree(lariat_reactor *reactor, const char *path);

/* ---- Watching files and directories ------------------------------------------------------------------------------ */

enum {
    /* With all directories below, those that are made later included. */
    LARIAT_WATCH_RECURSIVE = 1,
    /* By looking from time to time: for file systems whose changes are made elsewhere, as over a network. */
    LARIAT_WATCH_POLL = 2,
};

enum {
    /* There is something new. */
    LARIAT_CHANGE_CREATED = 1,
    /* A file was written to, cut short, or replaced by another one. */
    LARIAT_CHANGE_MODIFIED = 2,
    /* Permissions, owner or times have changed. */
    LARIAT_CHANGE_ATTRIBUTES = 3,
    /* It is gone, or was moved to where it is not watched. Of a directory what was in it is told first. */
    LARIAT_CHANGE_REMOVED = 4,
    /* It has another path now: from is the old one. What is in a directory has moved along, and what was at the new path
     * before is gone. */
    LARIAT_CHANGE_MOVED = 5,
    /* More has changed than the system could remember. What is different is told next, found by looking; what changed in
     * between is lost. */
    LARIAT_CHANGE_OVERFLOW = 6,
    /* What is watched is gone itself, or was moved: the last change of a watch, which is stale when it is told. */
    LARIAT_CHANGE_GONE = 7,
};

/* Watches a file or directory: calls fn for each change, in order, from turns of the loop.
 *
 * Of a directory its entries are watched, and with LARIAT_WATCH_RECURSIVE all below them; links in it are not followed.
 * What is made in a new directory before that is watched is told as well, once. A file is watched by its name: it may
 * be removed, made anew, or replaced by another. A change that follows another one of the same path before that was
 * told may be told with it: what was just created is not modified as well.
 *
 * The system tells of changes by inotify. Where it does not, or has no watches left, which the log says, or with
 * LARIAT_WATCH_POLL, a pool thread looks from time to time: what happens between two looks is told as far as it can be
 * seen. A directory is looked through once when it is watched, which takes its time if it is large.
 *
 * path       a path as the system has it, copied; what is told begins with it.
 * flags      0, LARIAT_WATCH_RECURSIVE, LARIAT_WATCH_POLL or both.
 * user_data  may be NULL; passed through.
 * returns    a handle that is good until lariat_file_watch_stop, or until LARIAT_CHANGE_GONE was told; NULL on failure.
 * errors     LARIAT_ERR_NOT_FOUND; LARIAT_ERR_PERMISSION_DENIED; LARIAT_ERR_NOT_SUPPORTED when simulated;
 *            LARIAT_ERR_OS.
 * thread     the reactor's.
 * Twisted    twisted.internet.inotify.INotify.watch. */
LARIAT_API lariat_file_watch *lariat_reactor_watch_path(lariat_reactor *reactor, const char *path, int32_t flags,
                                                        lariat_file_changed_fn fn, void *user_data);

/* The same as lariat_reactor_watch_path, with user_data owned by the library from here on: free_user_data(user_data) is
 * called exactly once, when the watch is over and its callback has returned, when its scope ends, when the reactor is
 * freed, or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_file_watch *lariat_reactor_watch_path_full(lariat_reactor *reactor, const char *path, int32_t flags,
                                                             lariat_file_changed_fn fn, void *user_data,
                                                             lariat_free_fn free_user_data);

/* The same as lariat_reactor_watch_path, but queues events, LARIAT_EVENT_FILE_CHANGED, instead of calling. While the
 * queue is full, changes wait in the system.
 *
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_file_watch *lariat_reactor_watch_path_event(lariat_reactor *reactor, const char *path, int32_t flags,
                                                              uint64_t tag);

/* Sets how often a watch looks that has to: once a second unless set.
 *
 * seconds  between two looks; at least a millisecond is left.
 * errors   LARIAT_ERR_CLOSED when it was stopped inside its callback already.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_file_watch_set_interval(lariat_file_watch *watch, double seconds);

/* Tells whether a watch looks from time to time, because it was asked to or because the system does not tell.
 *
 * returns  1: it does; 0: the system tells; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_file_watch_is_polling(lariat_file_watch *watch);

/* Ends a watch: it tells nothing more, also of what has happened already, and its handle is stale once its callback has
 * returned.
 *
 * errors   LARIAT_ERR_CLOSED when it was stopped inside its callback already.
 * thread   the reactor's.
 * Twisted  INotify.ignore. */
LARIAT_API lariat_status lariat_file_watch_stop(lariat_file_watch *watch);

/* ---- What a file is: its kind, size, permissions and times ------------------------------------------------------- */

enum {
    LARIAT_FILE_KIND_FILE = 1,             /* A regular file. */
    LARIAT_FILE_KIND_DIRECTORY = 2,        /* A directory. */
    LARIAT_FILE_KIND_SYMLINK = 3,          /* A symbolic link. */
    LARIAT_FILE_KIND_PIPE = 4,             /* A named pipe. */
    LARIAT_FILE_KIND_SOCKET = 5,           /* A Unix socket. */
    LARIAT_FILE_KIND_CHARACTER_DEVICE = 6, /* A character device, such as a terminal. */
    LARIAT_FILE_KIND_BLOCK_DEVICE = 7,     /* A block device, such as a disk. */
};

/* What is known of a file: to be prepared once by lariat_file_facts_init, and filled by lariat_file_info_get. What a
 * system does not know is 0. */
typedef struct lariat_file_facts {
    /* Set by lariat_file_facts_init. */
    uint32_t struct_size;
    /* LARIAT_FILE_KIND_FILE and so on; 0: something else. */
    int32_t kind;
    /* Bytes. */
    uint64_t size;
    /* Bytes that it takes on the disk: fewer than size if it has holes. */
    uint64_t allocated;
    /* When it was last written to, in nanoseconds since the beginning of 1970; negative before. */
    int64_t modified;
    /* When it was last read, in the same way, as far as the system keeps count. */
    int64_t accessed;
    /* When anything of it was last changed, its permissions included. */
    int64_t changed;
    /* When it was made. */
    int64_t created;
    /* The device that it is on. */
    uint64_t device;
    /* Its number there: two paths with the same device and inode lead to one file. */
    uint64_t inode;
    /* How many names it has. */
    uint64_t links;
    /* Its permissions, as chmod takes them: up to 07777. */
    uint32_t mode;
    /* Its owner's number. */
    uint32_t user;
    /* Its group's number. */
    uint32_t group;
    /* 0. */
    uint32_t reserved;
} lariat_file_facts;

/* Prepares facts to be filled.
 *
 * facts        written.
 * struct_size  sizeof(lariat_file_facts).
 * thread       any. */
LARIAT_API lariat_status lariat_file_facts_init(lariat_file_facts *facts, uint32_t struct_size);

/* Finds out what has this path.
 *
 * path     bytes, ended by NUL, copied.
 * follow   1: what a symbolic link leads to; 0: the link itself.
 * returns  a Deferred of a lariat_file_info; NULL on failure. It fails with LARIAT_ERR_NOT_FOUND,
 *          LARIAT_ERR_NOT_A_DIRECTORY, LARIAT_ERR_PERMISSION_DENIED or LARIAT_ERR_OS; the message names the path.
 * errors   LARIAT_ERR_NOT_SUPPORTED when simulated; LARIAT_ERR_LIMIT at options.max_jobs.
 * thread   the reactor's.
 * POSIX    stat, lstat. */
LARIAT_API lariat_deferred *lariat_reactor_stat(lariat_reactor *reactor, const char *path, int32_t follow);

/* Copies what is known of a file.
 *
 * facts   prepared by lariat_file_facts_init; written.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_file_info_get(const lariat_file_info *info, lariat_file_facts *facts);

/* Frees an info that was taken by lariat_deferred_take, or that nobody will look at any more. One that was not taken is
 * freed with its Deferred.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_file_info_free(lariat_file_info *info);

/* ---- Bytes that were read, or a path that was found -------------------------------------------------------------- */

/* Tells where the bytes are.
 *
 * returns  lariat_bytes_length bytes and a NUL behind them, for as long as the lariat_bytes lives; NULL on failure.
 * thread   the reactor's. */
LARIAT_API const uint8_t *lariat_bytes_data(const lariat_bytes *bytes);

/* Tells how many bytes there are.
 *
 * returns  the count, without the NUL; 0 on failure.
 * thread   the reactor's. */
LARIAT_API size_t lariat_bytes_length(const lariat_bytes *bytes);

/* Frees bytes that were taken by lariat_deferred_take, or that nobody will look at any more. Those that were not taken
 * are freed with their Deferred.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_bytes_free(lariat_bytes *bytes);

/* ---- Looping calls ----------------------------------------------------------------------------------------------- */

/* Makes a looping call, which calls fn(looping_call, user_data) over and over once it is started. It never overlaps
 * itself: it waits for the Deferred that fn returns, and skips the intervals that pass meanwhile.
 *
 * user_data  may be NULL; passed through.
 * returns    the looping call, to be freed by lariat_looping_call_free or with its scope or reactor; NULL on failure.
 * thread     the reactor's.
 * Twisted    task.LoopingCall. */
LARIAT_API lariat_looping_call *lariat_looping_call_new(lariat_reactor *reactor, lariat_looping_fn fn, void *user_data);

/* The same as lariat_looping_call_new, with user_data owned by the library from here on: free_user_data(user_data) is
 * called exactly once, when the looping call is gone and its function has returned, or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_looping_call *lariat_looping_call_new_full(lariat_reactor *reactor, lariat_looping_fn fn,
                                                             void *user_data, lariat_free_fn free_user_data);

/* The same as lariat_looping_call_new, but it queues an event, LARIAT_EVENT_LOOPING_CALL, instead of calling.
 *
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_looping_call *lariat_looping_call_new_event(lariat_reactor *reactor, uint64_t tag);

/* Starts a looping call, which keeps its phase: it is called at whole intervals after the start.
 *
 * interval_seconds  0 to 1e9; 0: once a turn.
 * now               1: the first call comes from inside this one; 0: after the first interval.
 * returns           a Deferred that fires when the loop is stopped, with the looping call as its value, or fails with
 *                   the failure of fn's Deferred, or with LARIAT_ERR_CLOSED when it is freed; NULL on failure.
 * errors            LARIAT_ERR_INVALID_STATE when it is running.
 * thread            the reactor's.
 * Twisted           LoopingCall.start. */
LARIAT_API lariat_deferred *lariat_looping_call_start(lariat_looping_call *looping_call, double interval_seconds,
                                                      int32_t now);

/* Stops a looping call: its Deferred fires, from inside this call. It may be started again.
 *
 * errors   LARIAT_ERR_INVALID_STATE when it is not running.
 * thread   the reactor's.
 * Twisted  LoopingCall.stop. */
LARIAT_API lariat_status lariat_looping_call_stop(lariat_looping_call *looping_call);

/* Skips the next call of a looping call: the one after that comes a whole interval from now, and so does its phase.
 *
 * errors   LARIAT_ERR_INVALID_STATE when it is not running.
 * thread   the reactor's.
 * Twisted  LoopingCall.reset. */
LARIAT_API lariat_status lariat_looping_call_reset(lariat_looping_call *looping_call);

/* Tells whether a looping call was started and not stopped.
 *
 * returns  1 or 0; negative: an error.
 * thread   the reactor's.
 * Twisted  LoopingCall.running. */
LARIAT_API int32_t lariat_looping_call_running(lariat_looping_call *looping_call);

/* Tells, inside its function, how many intervals have passed since the call before: 1, or more if some were skipped.
 *
 * returns  the count; 0 before the first call; negative: an error.
 * thread   the reactor's.
 * Twisted  LoopingCall.withCount. */
LARIAT_API int64_t lariat_looping_call_count(lariat_looping_call *looping_call);

/* Ends a looping call: if it is running, its Deferred fails with LARIAT_ERR_CLOSED, from inside this call. Its handle
 * is stale from here on; inside its own function, once that has returned.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_looping_call_free(lariat_looping_call *looping_call);

/* ---- Cooperators and their tasks --------------------------------------------------------------------------------- */

/* Makes a cooperator, which shares some of every turn among its tasks, step by step in rounds.
 *
 * budget_seconds  real time that its tasks may use in a turn, 0 or more, or INFINITY; 0: one step a turn.
 * returns         the cooperator, to be freed by lariat_cooperator_free or with its scope or reactor; NULL on
 *                 failure.
 * thread          the reactor's.
 * Twisted         task.Cooperator. */
LARIAT_API lariat_cooperator *lariat_cooperator_new(lariat_reactor *reactor, double budget_seconds);

/* Adds a task: fn(task, user_data) is called from the next turn on, again and again while it returns LARIAT_MORE.
 *
 * user_data  may be NULL; passed through.
 * returns    a handle that goes stale when the task is over; NULL on failure.
 * thread     the reactor's.
 * Twisted    Cooperator.cooperate. */
LARIAT_API lariat_cooperative_task *lariat_cooperator_cooperate(lariat_cooperator *cooperator, lariat_step_fn fn,
                                                                void *user_data);

/* The same as lariat_cooperator_cooperate, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the task is over and its step has returned, or before this
 * returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_cooperative_task *lariat_cooperator_cooperate_full(lariat_cooperator *cooperator, lariat_step_fn fn,
                                                                     void *user_data, lariat_free_fn free_user_data);

/* Ends a cooperator and its tasks, which fail with LARIAT_ERR_CLOSED, from inside this call. Its handle is stale from
 * here on.
 *
 * thread   the reactor's.
 * Twisted  Cooperator.stop. */
LARIAT_API lariat_status lariat_cooperator_free(lariat_cooperator *cooperator);

/* Asks to be told of the end of a task. Any number may ask.
 *
 * returns  a Deferred that fires when the task is done, with the task's handle as its value, or fails: with the code
 *          that its step returned, with the failure that it waited for, with LARIAT_ERR_CANCELLED when it is stopped,
 *          or with LARIAT_ERR_CLOSED when its cooperator is freed; NULL on failure.
 * thread   the reactor's.
 * Twisted  CooperativeTask.whenDone. */
LARIAT_API lariat_deferred *lariat_cooperative_task_when_done(lariat_cooperative_task *task);

/* Inside its step: has a task wait; no step comes until the Deferred has fired. Its failure ends the task.
 *
 * deferred  of the same reactor; handed over: released for the caller, unless this fails.
 * errors    LARIAT_ERR_INVALID_STATE outside of a step of the task; LARIAT_ERR_ALREADY_WAITED or LARIAT_ERR_RELEASED
 *           when deferred was handed over or released; LARIAT_ERR_WRONG_REACTOR.
 * thread    the reactor's.
 * Twisted   a Deferred from the task's iterator. */
LARIAT_API lariat_status lariat_cooperative_task_wait_for(lariat_cooperative_task *task, lariat_deferred *deferred);

/* Holds a task up: no step comes until as many lariat_cooperative_task_resume.
 *
 * errors   LARIAT_ERR_ALREADY_CALLED when it has ended, inside its last step.
 * thread   the reactor's.
 * Twisted  CooperativeTask.pause. */
LARIAT_API lariat_status lariat_cooperative_task_pause(lariat_cooperative_task *task);

/* Takes one pause of a task back.
 *
 * errors   LARIAT_ERR_INVALID_STATE when it is not paused; LARIAT_ERR_ALREADY_CALLED when it has ended, inside its
 *          last step.
 * thread   the reactor's.
 * Twisted  CooperativeTask.resume. */
LARIAT_API lariat_status lariat_cooperative_task_resume(lariat_cooperative_task *task);

/* Ends a task: those who wait for it hear LARIAT_ERR_CANCELLED, from inside this call. Its handle is stale from here
 * on; inside its own step, once that has returned.
 *
 * errors   LARIAT_ERR_ALREADY_CALLED when it has ended, inside its last step.
 * thread   the reactor's.
 * Twisted  CooperativeTask.stop. */
LARIAT_API lariat_status lariat_cooperative_task_stop(lariat_cooperative_task *task);

/* ---- The Deferred: making one, and the worker's end of it, from the reactor's thread ----------------------------- */

/* Makes a Deferred, which has two ends: the waiter's, over when it is released or handed over, and the worker's, over
 * when it is fired or abandoned. When both are over and its callbacks have run, it is reclaimed.
 *
 * returns  the Deferred; NULL on failure.
 * errors   LARIAT_ERR_LIMIT at options.max_deferreds.
 * thread   the reactor's.
 * Twisted  Deferred. */
LARIAT_API lariat_deferred *lariat_deferred_new(lariat_reactor *reactor);

/* Makes a Deferred whose worker wants to know when nobody wants the result any more.
 *
 * canceller  called at most once, inside lariat_deferred_cancel or the end of the Deferred's scope or reactor.
 * user_data  may be NULL; passed through.
 * returns    the Deferred; NULL on failure.
 * errors     as lariat_deferred_new.
 * thread     the reactor's.
 * Twisted    Deferred with a canceller. */
LARIAT_API lariat_deferred *lariat_deferred_new_with_canceller(lariat_reactor *reactor, lariat_canceller_fn canceller,
                                                               void *user_data);

/* The same as lariat_deferred_new_with_canceller, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the Deferred is reclaimed, or before this returns NULL.
 *
 * canceller       may be NULL.
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_deferred *lariat_deferred_new_full(lariat_reactor *reactor, lariat_canceller_fn canceller,
                                                     void *user_data, lariat_free_fn free_user_data);

/* Makes a Deferred that has fired with a value.
 *
 * value    may be NULL; stays the caller's to free.
 * returns  the Deferred; NULL on failure.
 * errors   as lariat_deferred_new.
 * thread   the reactor's.
 * Twisted  succeed. */
LARIAT_API lariat_deferred *lariat_deferred_new_succeeded(lariat_reactor *reactor, void *value);

/* The same as lariat_deferred_new_succeeded, with the value owned by the library from here on: free_value(value) is
 * called when the Deferred is reclaimed, unless somebody takes it, or before this returns NULL.
 *
 * free_value  may be NULL.
 * thread      the reactor's. */
LARIAT_API lariat_deferred *lariat_deferred_new_succeeded_full(lariat_reactor *reactor, void *value,
                                                               lariat_free_fn free_value);

/* Makes a Deferred that has fired with a failure.
 *
 * code     not 0: negative one of lariat's, positive the program's own.
 * message  UTF-8, copied; may be NULL: the code's own text.
 * returns  the Deferred; NULL on failure.
 * errors   as lariat_deferred_new.
 * thread   the reactor's.
 * Twisted  fail. */
LARIAT_API lariat_deferred *lariat_deferred_new_failed(lariat_reactor *reactor, int32_t code, const char *message);

/* Calls fn(deferred, NULL, user_data) at once, as the first callback of a new Deferred: what it returns or records is
 * the result. So a function that may work at once, wait or fail is always a Deferred.
 *
 * user_data  may be NULL; passed through.
 * returns    the Deferred; NULL on failure.
 * errors     as lariat_deferred_new.
 * thread     the reactor's. The call comes from inside this one.
 * Twisted    maybeDeferred. */
LARIAT_API lariat_deferred *lariat_deferred_maybe(lariat_reactor *reactor, lariat_callback_fn fn, void *user_data);

/* The same as lariat_deferred_maybe, with user_data owned by the library from here on: free_user_data(user_data) is
 * called exactly once, after fn has returned, or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_deferred *lariat_deferred_maybe_full(lariat_reactor *reactor, lariat_callback_fn fn, void *user_data,
                                                       lariat_free_fn free_user_data);

/* Makes a Deferred that calls fn(deferred, NULL, user_data) after so many seconds: what it returns or records is the
 * result. Cancelling it before takes the call back.
 *
 * seconds    0 to 1e9.
 * fn         may be NULL: the result is NULL.
 * user_data  may be NULL; passed through.
 * returns    the Deferred; NULL on failure.
 * errors     LARIAT_ERR_LIMIT at options.max_deferreds or max_delayed_calls.
 * thread     the reactor's.
 * Twisted    deferLater. */
LARIAT_API lariat_deferred *lariat_reactor_defer_later(lariat_reactor *reactor, double seconds, lariat_callback_fn fn,
                                                       void *user_data);

/* The same as lariat_reactor_defer_later, with user_data owned by the library from here on: free_user_data(user_data)
 * is called exactly once, after the call, when it is not to be made any more, or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_deferred *lariat_reactor_defer_later_full(lariat_reactor *reactor, double seconds,
                                                            lariat_callback_fn fn, void *user_data,
                                                            lariat_free_fn free_user_data);

/* Fires a Deferred with a value: its callbacks run before this returns, as far as they can. The worker's end is over.
 *
 * value    may be NULL; stays the caller's to free.
 * errors   LARIAT_ERR_ALREADY_CALLED when it has fired: the first result stands. After a cancellation one fire is
 *          swallowed silently.
 * thread   the reactor's; from others lariat_deferred_callback_from_thread.
 * Twisted  Deferred.callback. */
LARIAT_API lariat_status lariat_deferred_callback(lariat_deferred *deferred, void *value);

/* The same as lariat_deferred_callback, with the value owned by the library from here on: free_value(value) is called
 * when the Deferred that it ends up in is reclaimed, unless somebody takes it; or before this returns, when it fails
 * or is swallowed.
 *
 * free_value  may be NULL.
 * thread      the reactor's. */
LARIAT_API lariat_status lariat_deferred_callback_full(lariat_deferred *deferred, void *value,
                                                       lariat_free_fn free_value);

/* Fires a Deferred with a value after so many seconds. If it has fired by then, or is gone, nothing happens.
 *
 * seconds  0 to 1e9.
 * value    may be NULL; stays the caller's to free.
 * returns  the delayed call, which can be cancelled; NULL on failure.
 * errors   LARIAT_ERR_ALREADY_CALLED when it has fired; LARIAT_ERR_LIMIT at options.max_delayed_calls.
 * thread   the reactor's.
 * Twisted  reactor.callLater(seconds, deferred.callback, value). */
LARIAT_API lariat_delayed_call *lariat_deferred_callback_later(lariat_deferred *deferred, double seconds, void *value);

/* The same as lariat_deferred_callback_later, with the value owned by the library from here on: free_value(value) is
 * called as by lariat_deferred_callback_full, when the delayed call is cancelled, or before this returns NULL.
 *
 * free_value  may be NULL.
 * thread      the reactor's. */
LARIAT_API lariat_delayed_call *lariat_deferred_callback_later_full(lariat_deferred *deferred, double seconds,
                                                                    void *value, lariat_free_fn free_value);

/* Fires a Deferred with a failure: its errbacks run before this returns, as far as they can. The worker's end is
 * over.
 *
 * code     not 0: negative one of lariat's, positive the program's own.
 * message  UTF-8, copied; may be NULL: the code's own text.
 * errors   LARIAT_ERR_ALREADY_CALLED when it has fired: the first result stands. After a cancellation one fire is
 *          swallowed silently.
 * thread   the reactor's; from others lariat_deferred_errback_from_thread.
 * Twisted  Deferred.errback. */
LARIAT_API lariat_status lariat_deferred_errback(lariat_deferred *deferred, int32_t code, const char *message);

/* The same as lariat_deferred_errback, with all that a failure can say.
 *
 * os_error      an error number of the operating system; 0: none.
 * payload       may be NULL; the library's from here on.
 * free_payload  may be NULL; called once, when the failure is gone, or before this fails.
 * thread        the reactor's. */
LARIAT_API lariat_status lariat_deferred_errback_full(lariat_deferred *deferred, int32_t code, int32_t os_error,
                                                      const char *message, void *payload, lariat_free_fn free_payload);

/* Fires a Deferred with a failure that came from another one, unchanged.
 *
 * failure  of the same reactor; stays who holds it's.
 * errors   LARIAT_ERR_ALREADY_CALLED when it has fired; LARIAT_ERR_WRONG_REACTOR.
 * thread   the reactor's.
 * Twisted  Deferred.errback with a Failure. */
LARIAT_API lariat_status lariat_deferred_errback_failure(lariat_deferred *deferred, const lariat_failure *failure);

/* Ends the worker's end without a result: unless the Deferred was cancelled or fired, it fires with
 * LARIAT_ERR_ABANDONED.
 *
 * errors  LARIAT_ERR_ALREADY_CALLED when the worker has fired it.
 * thread  the reactor's; from others lariat_deferred_abandon_from_thread. */
LARIAT_API lariat_status lariat_deferred_abandon(lariat_deferred *deferred);

/* ---- The Deferred: the waiter's end of it ------------------------------------------------------------------------ */

/* Adds a callback to the chain, for a value; a failure passes it by. If the chain has got there already, it runs at
 * once, from inside this call; if a callback of the chain is running, after it has returned.
 *
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
 * thread     the reactor's.
 * Twisted    Deferred.addCallback. */
LARIAT_API lariat_status lariat_deferred_add_callback(lariat_deferred *deferred, lariat_callback_fn callback,
                                                      void *user_data);

/* The same as lariat_deferred_add_callback, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the chain has passed it, called or not, when its scope ends,
 * when the reactor is freed, or before this fails.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_deferred_add_callback_full(lariat_deferred *deferred, lariat_callback_fn callback,
                                                           void *user_data, lariat_free_fn free_user_data);

/* Adds an errback to the chain, for a failure, which it handles unless it records another; a value passes it by. When
 * it runs, and from where, is as with lariat_deferred_add_callback.
 *
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
 * thread     the reactor's.
 * Twisted    Deferred.addErrback. */
LARIAT_API lariat_status lariat_deferred_add_errback(lariat_deferred *deferred, lariat_errback_fn errback,
                                                     void *user_data);

/* The same as lariat_deferred_add_errback, with user_data owned by the library from here on: freed as by
 * lariat_deferred_add_callback_full.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_deferred_add_errback_full(lariat_deferred *deferred, lariat_errback_fn errback,
                                                          void *user_data, lariat_free_fn free_user_data);

/* Adds one level to the chain with a callback for a value and an errback for a failure; the errback does not see what
 * the callback fails with. When they run, and from where, is as with lariat_deferred_add_callback.
 *
 * callback   may be NULL if errback is not.
 * errback    may be NULL if callback is not.
 * user_data  of either; may be NULL; passed through.
 * errors     LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
 * thread     the reactor's.
 * Twisted    Deferred.addCallbacks. */
LARIAT_API lariat_status lariat_deferred_add_callbacks(lariat_deferred *deferred, lariat_callback_fn callback,
                                                       lariat_errback_fn errback, void *user_data);

/* The same as lariat_deferred_add_callbacks, with user_data owned by the library from here on: freed as by
 * lariat_deferred_add_callback_full.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_deferred_add_callbacks_full(lariat_deferred *deferred, lariat_callback_fn callback,
                                                            lariat_errback_fn errback, void *user_data,
                                                            lariat_free_fn free_user_data);

/* Adds a function to the chain that gets values and failures alike. When it runs, and from where, is as with
 * lariat_deferred_add_callback.
 *
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
 * thread     the reactor's.
 * Twisted    Deferred.addBoth. */
LARIAT_API lariat_status lariat_deferred_add_both(lariat_deferred *deferred, lariat_both_fn both, void *user_data);

/* The same as lariat_deferred_add_both, with user_data owned by the library from here on: freed as by
 * lariat_deferred_add_callback_full.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_deferred_add_both_full(lariat_deferred *deferred, lariat_both_fn both, void *user_data,
                                                       lariat_free_fn free_user_data);

/* Adds a level to the chain that moves the result into an event, LARIAT_EVENT_DEFERRED, and leaves NULL.
 *
 * tag     any number; comes back in the event.
 * errors  LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_deferred_add_event(lariat_deferred *deferred, uint64_t tag);

/* Cancels the Deferred unless the callbacks added so far have run within so many seconds; that cancellation, and no
 * other, is told as LARIAT_ERR_TIMED_OUT to the callbacks added later.
 *
 * seconds  0 to 1e9.
 * errors   LARIAT_ERR_RELEASED once the waiter has released it or handed it over; LARIAT_ERR_LIMIT at
 *          options.max_delayed_calls.
 * thread   the reactor's.
 * Twisted  Deferred.addTimeout. */
LARIAT_API lariat_status lariat_deferred_add_timeout(lariat_deferred *deferred, double seconds);

/* Has the result of one Deferred fire another, which hands on results but not cancellation. The worker's end of the
 * target is over.
 *
 * deferred  handed over: released for the caller, unless this fails.
 * target    of the same reactor; not fired.
 * errors    LARIAT_ERR_ALREADY_WAITED or LARIAT_ERR_RELEASED when deferred was handed over or released;
 *           LARIAT_ERR_ALREADY_CALLED when target has fired or is fired by another; LARIAT_ERR_CYCLE;
 *           LARIAT_ERR_WRONG_REACTOR.
 * thread    the reactor's.
 * Twisted   Deferred.chainDeferred. */
LARIAT_API lariat_status lariat_deferred_chain(lariat_deferred *deferred, lariat_deferred *target);

/* Says that nobody wants the result any more. A Deferred that waits for another cancels that one; else its canceller
 * is told; and unless that fires it, it fires with LARIAT_ERR_CANCELLED. Does nothing once it has fired. Legal after
 * the release, too.
 *
 * thread   the reactor's. Callbacks come from inside this call.
 * Twisted  Deferred.cancel. */
LARIAT_API lariat_status lariat_deferred_cancel(lariat_deferred *deferred);

/* Holds the chain up: no callback runs until as many lariat_deferred_unpause.
 *
 * errors   LARIAT_ERR_RELEASED once the waiter has released it or handed it over.
 * thread   the reactor's.
 * Twisted  Deferred.pause. */
LARIAT_API lariat_status lariat_deferred_pause(lariat_deferred *deferred);

/* Takes one pause back; after the last one the chain goes on, from inside this call. Legal after the release, too.
 *
 * errors   LARIAT_ERR_INVALID_STATE when it is not paused.
 * thread   the reactor's.
 * Twisted  Deferred.unpause. */
LARIAT_API lariat_status lariat_deferred_unpause(lariat_deferred *deferred);

/* Ends the waiter's end: no more callbacks will be added; those that were run all the same. A failure that they leave
 * unhandled is reported when the Deferred is reclaimed. From here on only lariat_deferred_cancel, _unpause and the
 * calls inside its chain are legal for the waiter.
 *
 * errors  LARIAT_ERR_RELEASED when it was released or handed over before.
 * thread  the reactor's; from others lariat_deferred_release_from_thread. */
LARIAT_API lariat_status lariat_deferred_release(lariat_deferred *deferred);

/* Tells whether a Deferred has fired.
 *
 * returns  1 or 0; negative: an error.
 * thread   the reactor's.
 * Twisted  Deferred.called. */
LARIAT_API int32_t lariat_deferred_called(lariat_deferred *deferred);

/* Looks at the present result, which stays the Deferred's and is valid until it changes.
 *
 * value    may be NULL; written: the value, or NULL if there is a failure.
 * failure  may be NULL; written: the failure, or NULL if there is a value.
 * errors   LARIAT_ERR_NOT_CALLED while there is none: not fired, paused, or waiting for another Deferred;
 *          LARIAT_ERR_RELEASED once the waiter has released it or handed it over. Nothing is written then.
 * thread   the reactor's.
 * Twisted  Deferred.result. */
LARIAT_API lariat_status lariat_deferred_result(lariat_deferred *deferred, void **value,
                                                const lariat_failure **failure);

/* ---- Inside a callback of a Deferred: recording another outcome than the return value ---------------------------- */

/* Makes a value the outcome of the running callback, as its return value would be, but owned: free_value(value) is
 * called when the Deferred that it ends up in is reclaimed, unless somebody takes it, or before this fails. The last
 * outcome recorded wins.
 *
 * deferred    the one whose callback is running.
 * value       may be NULL; the library's from here on.
 * free_value  may be NULL.
 * returns     NULL, for the callback to return.
 * errors      LARIAT_ERR_INVALID_STATE outside of a callback of the Deferred.
 * thread      the reactor's. */
LARIAT_API void *lariat_deferred_return(lariat_deferred *deferred, void *value, lariat_free_fn free_value);

/* Makes a failure the outcome of the running callback. The last outcome recorded wins.
 *
 * deferred  the one whose callback is running.
 * code      not 0: negative one of lariat's, positive the program's own.
 * message   UTF-8, copied; may be NULL: the code's own text.
 * returns   NULL, for the callback to return.
 * errors    LARIAT_ERR_INVALID_STATE outside of a callback of the Deferred.
 * thread    the reactor's.
 * Twisted   raising an exception. */
LARIAT_API void *lariat_deferred_fail(lariat_deferred *deferred, int32_t code, const char *message);

/* The same as lariat_deferred_fail, with all that a failure can say.
 *
 * os_error      an error number of the operating system; 0: none.
 * payload       may be NULL; the library's from here on.
 * free_payload  may be NULL; called once, when the failure is gone, or before this fails.
 * thread        the reactor's. */
LARIAT_API void *lariat_deferred_fail_full(lariat_deferred *deferred, int32_t code, int32_t os_error,
                                           const char *message, void *payload, lariat_free_fn free_payload);

/* Makes a failure that came from elsewhere the outcome of the running callback, unchanged.
 *
 * deferred  the one whose callback is running.
 * failure   of the same reactor; stays who holds it's.
 * returns   NULL, for the callback to return.
 * errors    LARIAT_ERR_INVALID_STATE outside of a callback of the Deferred; LARIAT_ERR_WRONG_REACTOR.
 * thread    the reactor's. */
LARIAT_API void *lariat_deferred_fail_failure(lariat_deferred *deferred, const lariat_failure *failure);

/* Makes the failure that the running errback got its outcome: it has not handled it.
 *
 * deferred  the one whose errback is running.
 * returns   NULL, for the errback to return.
 * errors    LARIAT_ERR_INVALID_STATE outside of an errback of the Deferred.
 * thread    the reactor's.
 * Twisted   returning the Failure. */
LARIAT_API void *lariat_deferred_refail(lariat_deferred *deferred);

/* Makes the result of another Deferred the outcome of the running callback: the chain waits until it is there, and
 * the result moves over with its free function. So return lariat_deferred_wait_for(deferred, fetch(reactor, url)) is
 * right whether fetch starts or not.
 *
 * deferred  the one whose callback is running.
 * other     of the same reactor; handed over: released for the caller. NULL fails the chain with this thread's last
 *           error, and one that cannot be waited for with the reason: LARIAT_ERR_ALREADY_WAITED, LARIAT_ERR_RELEASED,
 *           LARIAT_ERR_CYCLE, LARIAT_ERR_WRONG_REACTOR and so on.
 * returns   NULL, for the callback to return.
 * errors    LARIAT_ERR_INVALID_STATE outside of a callback of the Deferred; the reason for which the chain fails.
 * thread    the reactor's.
 * Twisted   returning a Deferred. */
LARIAT_API void *lariat_deferred_wait_for(lariat_deferred *deferred, lariat_deferred *other);

/* Takes the present value out of the library's hands: it will not free it any more. The value stays the result.
 * Outside of callbacks it takes that of a Deferred that has fired.
 *
 * returns  the value, now the caller's; NULL if it is NULL, if there is a failure, or on failure.
 * errors   LARIAT_ERR_NOT_CALLED while there is no value; LARIAT_ERR_RELEASED outside of its callbacks, once the
 *          waiter has released it or handed it over.
 * thread   the reactor's. */
LARIAT_API void *lariat_deferred_take(lariat_deferred *deferred);

/* ---- Failures: why there is no result ---------------------------------------------------------------------------- */

/* Tells what kind of failure it is.
 *
 * returns  negative: one of lariat's, LARIAT_ERR_CANCELLED and so on; positive: the program's own; 0 on failure.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_failure_code(const lariat_failure *failure);

/* Tells the error number of the operating system behind a failure.
 *
 * returns  errno, or what GetLastError gives on Windows; 0 if there is none, and on failure.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_failure_os_error(const lariat_failure *failure);

/* Tells the code that the process ended with that a failure is about.
 *
 * returns  0 to 255; -1 if it is about none, or that was ended by a signal, or how it ended is not known; another
 *          negative number for a handle that is none.
 * thread   the reactor's.
 * Twisted  ProcessTerminated.exitCode. */
LARIAT_API int32_t lariat_failure_exit_code(const lariat_failure *failure);

/* Tells the signal that the process was ended by that a failure is about.
 *
 * returns  its number; 0 if there is none, and on failure.
 * thread   the reactor's.
 * Twisted  ProcessTerminated.signal. */
LARIAT_API int32_t lariat_failure_exit_signal(const lariat_failure *failure);

/* Tells in words what went wrong.
 *
 * returns  text that lives as long as the failure; never NULL: for a handle that is none, words that say so.
 * thread   the reactor's. */
LARIAT_API const char *lariat_failure_message(const lariat_failure *failure);

/* Gives the payload that came with a failure, which stays the failure's.
 *
 * returns  the payload; NULL if there is none, and on failure.
 * thread   the reactor's. */
LARIAT_API void *lariat_failure_payload(const lariat_failure *failure);

/* Tells which element of a gather, or of a list that fails on one failure, the failure is of.
 *
 * returns  the index in the order given; -1 for all other failures, and on failure.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_failure_index(const lariat_failure *failure);

/* Gives the results behind LARIAT_ERR_ALL_FAILED: why each element of the race failed. They stay the failure's.
 *
 * returns  the results; NULL for all other failures, and on failure.
 * thread   the reactor's. */
LARIAT_API lariat_results *lariat_failure_results(const lariat_failure *failure);

/* Keeps a failure alive beyond the callback that got it, until as many lariat_failure_release, or the reactor's end.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_failure_keep(const lariat_failure *failure);

/* Takes one lariat_failure_keep back.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_failure_release(const lariat_failure *failure);

/* ---- Several Deferreds as one, and the results that come of it --------------------------------------------------- */

enum {
    /* A list fires with the first value that comes, its index told by lariat_results_index. */
    LARIAT_LIST_FIRE_ON_ONE_SUCCESS = 1,
    /* A list fails with the first failure that comes, its index told by lariat_failure_index. */
    LARIAT_LIST_FIRE_ON_ONE_FAILURE = 2,
    /* A list handles the failures of its elements; without this they are reported as unhandled, too. */
    LARIAT_LIST_CONSUME_FAILURES = 4,
};

/* Waits for several Deferreds: fires with a lariat_results that has the value or the failure of each, in the order
 * given, whatever order they came in. An empty list fires at once, except when it waits for one success. Cancelling
 * it cancels those that have not fired.
 *
 * deferreds  of the reactor; handed over: released for the caller, all of them, or none when this fails. May be NULL
 *            if count is 0.
 * count      how many there are.
 * flags      0, or some of LARIAT_LIST_FIRE_ON_ONE_SUCCESS, _FIRE_ON_ONE_FAILURE and _CONSUME_FAILURES.
 * returns    the Deferred; NULL on failure.
 * errors     of an element, which the message names: those of its handle, LARIAT_ERR_RELEASED,
 *            LARIAT_ERR_ALREADY_WAITED (also when it is in the list twice), LARIAT_ERR_WRONG_REACTOR.
 * thread     the reactor's.
 * Twisted    DeferredList. */
LARIAT_API lariat_deferred *lariat_deferred_list(lariat_reactor *reactor, lariat_deferred *const *deferreds,
                                                 size_t count, int32_t flags);

/* Waits for the values of several Deferreds: fires with a lariat_results that has them in the order given, or fails
 * with the first failure that comes, its index told by lariat_failure_index. All failures count as handled. An empty
 * one fires at once. Cancelling it cancels those that have not fired.
 *
 * deferreds  of the reactor; handed over: released for the caller, all of them, or none when this fails. May be NULL
 *            if count is 0.
 * count      how many there are.
 * returns    the Deferred; NULL on failure.
 * errors     as lariat_deferred_list.
 * thread     the reactor's.
 * Twisted    gatherResults. */
LARIAT_API lariat_deferred *lariat_deferred_gather(lariat_reactor *reactor, lariat_deferred *const *deferreds,
                                                   size_t count);

/* Waits for the first value of several Deferreds and cancels the others: fires with a lariat_results that has it
 * alone, its index told by lariat_results_index. If all fail it fails with LARIAT_ERR_ALL_FAILED, and
 * lariat_failure_results tells why. All failures count as handled. Cancelling it cancels those that have not fired.
 *
 * deferreds  of the reactor; handed over: released for the caller, all of them, or none when this fails. May be NULL
 *            if count is 0.
 * count      how many there are.
 * returns    the Deferred; NULL on failure.
 * errors     as lariat_deferred_list.
 * thread     the reactor's.
 * Twisted    race. */
LARIAT_API lariat_deferred *lariat_deferred_race(lariat_reactor *reactor, lariat_deferred *const *deferreds,
                                                 size_t count);

/* Tells how many results there are. They live as long as the Deferred whose value they are, or, once they are taken,
 * until lariat_results_free.
 *
 * returns  the count; 0 on failure.
 * thread   the reactor's. */
LARIAT_API size_t lariat_results_count(const lariat_results *results);

/* Tells whether an element has a value, not a failure.
 *
 * index    0 to lariat_results_count - 1.
 * returns  1 or 0; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_results_success(const lariat_results *results, size_t index);

/* Gives the value of an element, which stays the results'.
 *
 * index    0 to lariat_results_count - 1.
 * returns  the value; NULL if it is NULL, if there is a failure, or on failure.
 * thread   the reactor's. */
LARIAT_API void *lariat_results_value(const lariat_results *results, size_t index);

/* Gives the failure of an element, which stays the results'.
 *
 * index    0 to lariat_results_count - 1.
 * returns  the failure; NULL if there is a value, or on failure.
 * thread   the reactor's. */
LARIAT_API const lariat_failure *lariat_results_failure(const lariat_results *results, size_t index);

/* Takes the value of an element out of the library's hands: it will not free it any more. It is still told by
 * lariat_results_value.
 *
 * index    0 to lariat_results_count - 1.
 * returns  the value, now the caller's; NULL if it is NULL, if there is a failure, or on failure.
 * thread   the reactor's. */
LARIAT_API void *lariat_results_take(lariat_results *results, size_t index);

/* Tells which element of a race, or of a list that fires on one success, the only result is of.
 *
 * returns  the index in the order given; -1 for all other results, and on failure.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_results_index(const lariat_results *results);

/* Frees results that were taken by lariat_deferred_take or lariat_results_take, with the values that nobody took.
 * Those that were not taken are the library's to free.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_results_free(lariat_results *results);

/* ---- The Deferred from other threads: what is done is queued for the reactor's ----------------------------------- */

/* Fires a Deferred with a value, on the next turn of its reactor.
 *
 * value    may be NULL; stays the caller's to free.
 * returns  LARIAT_OK: it is queued. If the Deferred has fired by then, or is gone, nothing happens.
 * errors   LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
 * thread   any.
 * Twisted  reactor.callFromThread(deferred.callback, value). */
LARIAT_API lariat_status lariat_deferred_callback_from_thread(lariat_deferred *deferred, void *value);

/* The same as lariat_deferred_callback_from_thread, with the value owned by the library from here on:
 * free_value(value) is called as by lariat_deferred_callback_full, on the reactor's thread; or before this fails, on
 * the calling one.
 *
 * free_value  may be NULL.
 * thread      any. */
LARIAT_API lariat_status lariat_deferred_callback_from_thread_full(lariat_deferred *deferred, void *value,
                                                                   lariat_free_fn free_value);

/* Fires a Deferred with a failure, on the next turn of its reactor.
 *
 * code     not 0: negative one of lariat's, positive the program's own.
 * message  UTF-8, copied; may be NULL: the code's own text.
 * returns  LARIAT_OK: it is queued. If the Deferred has fired by then, or is gone, nothing happens.
 * errors   LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
 * thread   any.
 * Twisted  reactor.callFromThread(deferred.errback, failure). */
LARIAT_API lariat_status lariat_deferred_errback_from_thread(lariat_deferred *deferred, int32_t code,
                                                             const char *message);

/* Ends the worker's end without a result, as lariat_deferred_abandon does, on the next turn of its reactor.
 *
 * returns  LARIAT_OK: it is queued. If the Deferred has fired by then, or is gone, nothing happens.
 * errors   LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
 * thread   any. */
LARIAT_API lariat_status lariat_deferred_abandon_from_thread(lariat_deferred *deferred);

/* Ends the waiter's end, as lariat_deferred_release does, on the next turn of its reactor.
 *
 * returns  LARIAT_OK: it is queued. If it is released by then, or is gone, nothing happens.
 * errors   LARIAT_ERR_CLOSED while the reactor is being freed, LARIAT_ERR_STALE_HANDLE afterwards.
 * thread   any. */
LARIAT_API lariat_status lariat_deferred_release_from_thread(lariat_deferred *deferred);

/* ---- Locks ------------------------------------------------------------------------------------------------------- */

/* Makes a lock that nobody holds.
 *
 * returns  the lock, to be freed by lariat_lock_free or with its scope or reactor; NULL on failure.
 * thread   the reactor's.
 * Twisted  DeferredLock. */
LARIAT_API lariat_lock *lariat_lock_new(lariat_reactor *reactor);

/* Asks for the lock. Those who wait get it in the order in which they asked; cancelling stops waiting.
 *
 * returns  a Deferred that fires, with the lock as its value, when it is the caller's; NULL on failure.
 * thread   the reactor's.
 * Twisted  DeferredLock.acquire. */
LARIAT_API lariat_deferred *lariat_lock_acquire(lariat_lock *lock);

/* Gives the lock back: to whoever waits longest, whose callbacks run from inside this call.
 *
 * errors   LARIAT_ERR_INVALID_STATE when nobody holds it.
 * thread   the reactor's.
 * Twisted  DeferredLock.release. */
LARIAT_API lariat_status lariat_lock_release(lariat_lock *lock);

/* Asks for the lock, calls fn(deferred, NULL, user_data) when it has it, and gives it back when what that returns or
 * records has come, value or failure.
 *
 * user_data  may be NULL; passed through.
 * returns    a Deferred that fires with what fn gives; cancelling it stops waiting. NULL on failure.
 * thread     the reactor's. The call may come from inside this one.
 * Twisted    DeferredLock.run. */
LARIAT_API lariat_deferred *lariat_lock_run(lariat_lock *lock, lariat_callback_fn fn, void *user_data);

/* The same as lariat_lock_run, with user_data owned by the library from here on: free_user_data(user_data) is called
 * exactly once, after the call, when it is not to be made any more, or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_deferred *lariat_lock_run_full(lariat_lock *lock, lariat_callback_fn fn, void *user_data,
                                                 lariat_free_fn free_user_data);

/* Tells whether somebody holds the lock.
 *
 * returns  1 or 0; negative: an error.
 * thread   the reactor's.
 * Twisted  DeferredLock.locked. */
LARIAT_API int32_t lariat_lock_locked(lariat_lock *lock);

/* Ends a lock, held or not; its handle is stale from here on. Those who wait for it fail with LARIAT_ERR_CLOSED, from
 * inside this call.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_lock_free(lariat_lock *lock);

/* ---- Semaphores -------------------------------------------------------------------------------------------------- */

/* Makes a semaphore: a lock that so many may hold.
 *
 * tokens   1 or more.
 * returns  the semaphore, to be freed by lariat_semaphore_free or with its scope or reactor; NULL on failure.
 * thread   the reactor's.
 * Twisted  DeferredSemaphore. */
LARIAT_API lariat_semaphore *lariat_semaphore_new(lariat_reactor *reactor, uint32_t tokens);

/* Asks for a token. Those who wait get one in the order in which they asked; cancelling stops waiting.
 *
 * returns  a Deferred that fires, with the semaphore as its value, when a token is the caller's; NULL on failure.
 * thread   the reactor's.
 * Twisted  DeferredSemaphore.acquire. */
LARIAT_API lariat_deferred *lariat_semaphore_acquire(lariat_semaphore *semaphore);

/* Gives a token back: to whoever waits longest, whose callbacks run from inside this call.
 *
 * errors   LARIAT_ERR_INVALID_STATE when nobody holds one.
 * thread   the reactor's.
 * Twisted  DeferredSemaphore.release. */
LARIAT_API lariat_status lariat_semaphore_release(lariat_semaphore *semaphore);

/* Asks for a token, calls fn(deferred, NULL, user_data) when it has one, and gives it back when what that returns or
 * records has come, value or failure.
 *
 * user_data  may be NULL; passed through.
 * returns    a Deferred that fires with what fn gives; cancelling it stops waiting. NULL on failure.
 * thread     the reactor's. The call may come from inside this one.
 * Twisted    DeferredSemaphore.run. */
LARIAT_API lariat_deferred *lariat_semaphore_run(lariat_semaphore *semaphore, lariat_callback_fn fn, void *user_data);

/* The same as lariat_semaphore_run, with user_data owned by the library from here on: free_user_data(user_data) is
 * called exactly once, after the call, when it is not to be made any more, or before this returns NULL.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_deferred *lariat_semaphore_run_full(lariat_semaphore *semaphore, lariat_callback_fn fn,
                                                      void *user_data, lariat_free_fn free_user_data);

/* Tells how many tokens nobody holds.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's.
 * Twisted  DeferredSemaphore.tokens. */
LARIAT_API int64_t lariat_semaphore_tokens(lariat_semaphore *semaphore);

/* Ends a semaphore, held or not; its handle is stale from here on. Those who wait for it fail with LARIAT_ERR_CLOSED,
 * from inside this call.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_semaphore_free(lariat_semaphore *semaphore);

/* ---- Queues ------------------------------------------------------------------------------------------------------ */

/* Makes a queue of values between those who put them in and those who wait for them.
 *
 * max_size     values that may wait for somebody; 0 or more, or -1: no limit.
 * max_backlog  Deferreds that may wait for a value; 0 or more, or -1: no limit.
 * returns      the queue, to be freed by lariat_queue_free or with its scope or reactor; NULL on failure.
 * thread       the reactor's.
 * Twisted      DeferredQueue. */
LARIAT_API lariat_queue *lariat_queue_new(lariat_reactor *reactor, int64_t max_size, int64_t max_backlog);

/* Puts a value in: whoever waits longest gets it, from inside this call; else it waits.
 *
 * value    may be NULL; stays the caller's to free.
 * errors   LARIAT_ERR_QUEUE_OVERFLOW when max_size values wait.
 * thread   the reactor's.
 * Twisted  DeferredQueue.put. */
LARIAT_API lariat_status lariat_queue_put(lariat_queue *queue, void *value);

/* The same as lariat_queue_put, with the value owned by the library from here on: free_value(value) is called when
 * the Deferred that it ends up in is reclaimed, unless somebody takes it, when the queue is freed, or before this
 * fails.
 *
 * free_value  may be NULL.
 * thread      the reactor's. */
LARIAT_API lariat_status lariat_queue_put_full(lariat_queue *queue, void *value, lariat_free_fn free_value);

/* Asks for the oldest value. Those who wait get one in the order in which they asked; cancelling stops waiting.
 *
 * returns  a Deferred that fires with the value; NULL on failure.
 * errors   LARIAT_ERR_QUEUE_UNDERFLOW when max_backlog Deferreds wait.
 * thread   the reactor's.
 * Twisted  DeferredQueue.get. */
LARIAT_API lariat_deferred *lariat_queue_get(lariat_queue *queue);

/* Tells how many values wait.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_queue_size(lariat_queue *queue);

/* Tells how many Deferreds wait for a value.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_queue_backlog(lariat_queue *queue);

/* Ends a queue: the values in it are freed, its handle is stale from here on. Those who wait for it fail with
 * LARIAT_ERR_CLOSED, from inside this call.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_queue_free(lariat_queue *queue);

/* ---- Scopes: what belongs together ends together ----------------------------------------------------------------- */

/* Makes a scope: an empty group, itself a member of the scope that is entered.
 *
 * returns  the scope, to be freed by lariat_scope_free or with the reactor; NULL on failure.
 * thread   the reactor's. */
LARIAT_API lariat_scope *lariat_scope_new(lariat_reactor *reactor);

/* Has what is made from here on join the scope, until lariat_scope_leave or the return of the callback that entered
 * it. Enters nest. What is made in a callback of a member joins its scope by itself.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_scope_enter(lariat_scope *scope);

/* Goes back to the scope that was entered before.
 *
 * errors  LARIAT_ERR_INVALID_STATE unless the scope is the one entered last.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_scope_leave(lariat_scope *scope);

/* Ends all that is in the scope: cancels its Deferreds, drops its calls, stops its watchers, frees its locks and the
 * like, takes its callbacks off Deferreds outside, and waits for its running jobs, options.shutdown_seconds at most.
 * After this has returned none of its functions is called again. The scope is empty then, and may be used again.
 *
 * errors  LARIAT_ERR_BUSY inside a callback of its own.
 * thread  the reactor's. What ends is told before this returns. */
LARIAT_API lariat_status lariat_scope_end(lariat_scope *scope);

/* Ends all that is in the scope, as lariat_scope_end does, and the scope: its handle is stale from here on.
 *
 * errors  LARIAT_ERR_BUSY inside a callback of its own.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_scope_free(lariat_scope *scope);

/* ---- Events: what is made with a tag in place of a callback is told here ----------------------------------------- */

enum {
    /* A call soon, from a thread or when running is to be made. */
    LARIAT_EVENT_CALL = 1,
    /* A delayed call is to be made; source: its handle, stale. */
    LARIAT_EVENT_DELAYED_CALL = 2,
    /* A Deferred has its result: value or failure; source: its handle. */
    LARIAT_EVENT_DEFERRED = 3,
    /* A descriptor is ready: readiness; source: its watcher. */
    LARIAT_EVENT_READY = 4,
    /* A trigger of the reactor's start or end; source: its handle, stale. */
    LARIAT_EVENT_TRIGGER = 5,
    /* A looping call is due; source: its handle. */
    LARIAT_EVENT_LOOPING_CALL = 6,
    /* A connection was made; source: its transport. It is read when the host has gone on to the next event. */
    LARIAT_EVENT_CONNECTION_MADE = 7,
    /* Bytes were received: data, len; source: the transport. */
    LARIAT_EVENT_DATA_RECEIVED = 8,
    /* A connection is over: failure; source: its transport, stale. */
    LARIAT_EVENT_CONNECTION_LOST = 9,
    /* The peer of a half-closed connection sends no more; source: the transport. */
    LARIAT_EVENT_READ_CONNECTION_LOST = 10,
    /* All is sent that will be on a half-closed connection; source: the transport. */
    LARIAT_EVENT_WRITE_CONNECTION_LOST = 11,
    /* A datagram was received: data, len, peer; source: the port. */
    LARIAT_EVENT_DATAGRAM_RECEIVED = 12,
    /* Datagrams were refused or cut short, or could not be sent: failure, peer, as lariat_datagram_failed_fn; source: the
     * port, which lives on. */
    LARIAT_EVENT_DATAGRAM_FAILED = 14,
    /* All that had to wait is sent, after a send was refused with LARIAT_ERR_BUFFER_FULL; source: the port. */
    LARIAT_EVENT_DATAGRAMS_DRAINED = 15,
    /* A datagram port is closed: failure; source: the port, stale. */
    LARIAT_EVENT_DATAGRAM_PORT_STOPPED = 16,
    /* An attempt to connect has failed: failure; source: its reconnecting client. */
    LARIAT_EVENT_ATTEMPT_FAILED = 17,
    /* A child has written: data, len, child_fd; source: its process. */
    LARIAT_EVENT_CHILD_DATA_RECEIVED = 18,
    /* A pipe of a child is closed: child_fd, failure; source: its process. */
    LARIAT_EVENT_CHILD_CONNECTION_LOST = 19,
    /* A child has ended: failure; source: its process. Its pipes may still be open. */
    LARIAT_EVENT_PROCESS_EXITED = 20,
    /* A child has ended, and all its pipes are closed: failure; source: its process, stale. */
    LARIAT_EVENT_PROCESS_ENDED = 21,
    /* A signal has come, once or more often: lariat_signal_watch_number and _count tell; source: its watch. */
    LARIAT_EVENT_SIGNAL = 22,
    /* Something watched has changed: value is a const lariat_file_change; source: its watch, which is stale after
     * LARIAT_CHANGE_GONE. */
    LARIAT_EVENT_FILE_CHANGED = 23,
    /* A request has come to an HTTP server, with all of its body: lariat_http_request_body tells it; source: the request.
     */
    LARIAT_EVENT_HTTP_REQUEST = 24,
    /* A WebSocket is open; source: its handle. */
    LARIAT_EVENT_WEBSOCKET_OPENED = 30,
    /* A text has come by a WebSocket: data, len; source: its handle. */
    LARIAT_EVENT_WEBSOCKET_TEXT = 31,
    /* A binary message has come by a WebSocket: data, len; source: its handle. */
    LARIAT_EVENT_WEBSOCKET_BINARY = 32,
    /* A pong has come by a WebSocket: data, len; source: its handle. */
    LARIAT_EVENT_WEBSOCKET_PONG = 33,
    /* A WebSocket is over: code, failure, and the reason in data, len; source: its handle, stale. */
    LARIAT_EVENT_WEBSOCKET_CLOSED = 34,
};

/* What happened to something that was made with a tag; to be prepared once by lariat_event_init, and filled by
 * lariat_reactor_next_event. What it points to lives until the next such call. */
typedef struct lariat_event {
    /* Set by lariat_event_init. */
    uint32_t struct_size;
    /* What it is: LARIAT_EVENT_CALL and so on; 0: none. */
    int32_t kind;
    /* As given when the thing was made. */
    uint64_t tag;
    /* The value of a Deferred; else NULL. If it came with a free function, it is freed with the event. */
    void *value;
    /* The failure of a Deferred, or why something has failed or ended; else NULL. */
    const lariat_failure *failure;
    /* The handle of what it came from, by kind; may be stale, or NULL. */
    void *source;
    /* LARIAT_READABLE, LARIAT_WRITABLE or both, of a watcher; else 0. */
    int32_t readiness;
    /* Which descriptor of a child it was, by its number there; else 0. */
    int32_t child_fd;
    /* What was received, by a transport, a datagram port, a WebSocket or from a child; else NULL. */
    const uint8_t *data;
    /* How many bytes data has. */
    size_t len;
    /* Who sent a datagram, or where it went; else NULL. */
    const lariat_address *peer;
    /* The code that a WebSocket was closed with; else 0. */
    int32_t code;
} lariat_event;

/* Prepares an event to be filled.
 *
 * event        written.
 * struct_size  sizeof(lariat_event).
 * thread       any. */
LARIAT_API lariat_status lariat_event_init(lariat_event *event, uint32_t struct_size);

/* Takes the oldest event that waits. What the event before it pointed to is freed.
 *
 * event    prepared by lariat_event_init; written, also when there is none.
 * returns  LARIAT_OK; LARIAT_EMPTY: none is waiting; negative: an error.
 * thread   the reactor's. Events are queued by turns, and by what fires Deferreds. */
LARIAT_API lariat_status lariat_reactor_next_event(lariat_reactor *reactor, lariat_event *event);

/* ---- What is alive, in numbers ----------------------------------------------------------------------------------- */

/* How much of each kind is alive in a reactor: to be prepared once by lariat_stats_init, and filled by
 * lariat_reactor_stats. A leak is a number here. */
typedef struct lariat_stats {
    /* Set by lariat_stats_init. */
    uint32_t struct_size;
    /* Pool threads. */
    uint32_t threads;
    /* Delayed calls that wait, timers of the library's own among them. */
    uint64_t delayed_calls;
    /* Calls that wait for the next turn, or for the reactor to run. */
    uint64_t soon_calls;
    /* Deferreds that are not reclaimed yet. */
    uint64_t deferreds;
    /* Failures that somebody holds. */
    uint64_t failures;
    /* Results of lists. */
    uint64_t results;
    /* Watchers that were not stopped. */
    uint64_t watchers;
    /* Triggers that have not fired. */
    uint64_t triggers;
    /* Locks. */
    uint64_t locks;
    /* Semaphores. */
    uint64_t semaphores;
    /* Queues. */
    uint64_t queues;
    /* Looping calls, running or not. */
    uint64_t looping_calls;
    /* Cooperators. */
    uint64_t cooperators;
    /* Tasks of cooperators that are not over. */
    uint64_t cooperative_tasks;
    /* Scopes. */
    uint64_t scopes;
    /* Pool jobs that wait or run. */
    uint64_t jobs;
    /* Events that wait to be taken. */
    uint64_t events;
    /* Callbacks that have not returned, turns of the loop included: 0 outside of all. */
    uint64_t callbacks_running;
    /* Turns made so far. */
    uint64_t turns;
    /* Connections, those included that are being made. */
    uint64_t transports;
    /* Listeners. */
    uint64_t listeners;
    /* Datagram ports. */
    uint64_t datagram_ports;
    /* Look-ups of names that are not over. */
    uint64_t look_ups;
    /* Addresses that look-ups have found, or a resolver is filling in. */
    uint64_t addresses;
    /* Reconnecting clients, started or not. */
    uint64_t reconnecting_clients;
    /* Connection pools. */
    uint64_t connection_pools;
    /* Open files. */
    uint64_t files;
    /* Directories that are being read. */
    uint64_t directories;
    /* Bytes, entries and information that operations on files have given. */
    uint64_t file_values;
    /* Child processes that are not over, those included that nobody is told of any more. */
    uint64_t processes;
    /* Outputs of processes. */
    uint64_t process_outputs;
    /* Watches of signals that were not stopped, those of the Deferreds of lariat_reactor_when_signal among them. */
    uint64_t signal_watches;
    /* Watches of files and directories that were not stopped. */
    uint64_t file_watches;
    /* HTTP agents. */
    uint64_t http_agents;
    /* Requests of HTTP agents that are not over. */
    uint64_t http_exchanges;
    /* Responses that HTTP agents have got. */
    uint64_t http_responses;
    /* HTTP servers. */
    uint64_t http_servers;
    /* Requests to HTTP servers whose end was not told yet. */
    uint64_t http_requests;
    /* Routers of HTTP servers. */
    uint64_t http_routers;
    /* WebSockets, those of clients included whose handshake is not over. */
    uint64_t websockets;
} lariat_stats;

/* Prepares stats to be filled.
 *
 * stats        written.
 * struct_size  sizeof(lariat_stats).
 * thread       any. */
LARIAT_API lariat_status lariat_stats_init(lariat_stats *stats, uint32_t struct_size);

/* Counts what is alive in a reactor.
 *
 * stats   prepared by lariat_stats_init; written.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_reactor_stats(lariat_reactor *reactor, lariat_stats *stats);

/* Tells how many reactors are alive in the process.
 *
 * returns  0 or more.
 * thread   any. */
LARIAT_API int64_t lariat_reactors_alive(void);

/* ---- Simulations: several reactors, one clock, no kernel --------------------------------------------------------- */

/* Makes a simulation of the calling thread: a world with one clock, at 0, in which everything that is left to chance
 * follows from the seed. Reactors join it by lariat_reactor_options.
 *
 * seed     any number; the same program with the same seed does the same.
 * returns  the simulation, to be freed by lariat_simulation_free; NULL on failure.
 * thread   any: it becomes the simulation's. */
LARIAT_API lariat_simulation *lariat_simulation_new(uint64_t seed);

/* Ends a simulation whose reactors are all freed; its handle is stale from here on.
 *
 * errors  LARIAT_ERR_BUSY while a reactor of it is alive.
 * thread  the simulation's. */
LARIAT_API lariat_status lariat_simulation_free(lariat_simulation *simulation);

/* Runs all reactors of a simulation, starting those that have not started, until so much simulated time has passed.
 * The clock jumps from deadline to deadline; what is due at the same instant happens in an order from the seed.
 *
 * seconds  0 to 1e9.
 * errors   LARIAT_ERR_REENTRANT while it is running further up the stack.
 * thread   the simulation's. All callbacks of its reactors come from here. */
LARIAT_API lariat_status lariat_simulation_run(lariat_simulation *simulation, double seconds);

/* Runs all reactors of a simulation, starting those that have not started, until none has anything left to do.
 *
 * errors  LARIAT_ERR_REENTRANT while it is running further up the stack.
 * thread  the simulation's. All callbacks of its reactors come from here. */
LARIAT_API lariat_status lariat_simulation_run_until_idle(lariat_simulation *simulation);

/* Tells the simulated time.
 *
 * returns  seconds since the beginning; NaN on failure.
 * thread   the simulation's. */
LARIAT_API double lariat_simulation_seconds(lariat_simulation *simulation);

/* Tells a hash of all that happened so far: two runs that differ anywhere have different ones.
 *
 * returns  the hash; 0 on failure.
 * thread   the simulation's. */
LARIAT_API uint64_t lariat_simulation_trace_hash(lariat_simulation *simulation);

/* Makes up a descriptor, ready for nothing, for reactors of the simulation to watch.
 *
 * descriptor  written: a number that no descriptor of the system has.
 * thread      the simulation's. */
LARIAT_API lariat_status lariat_simulation_descriptor_new(lariat_simulation *simulation, lariat_socket *descriptor);

/* Makes a descriptor of the simulation ready, or not any more. Its watcher is told on a turn of its reactor.
 *
 * descriptor  one made by lariat_simulation_descriptor_new.
 * readiness   LARIAT_READABLE, LARIAT_WRITABLE, both or 0.
 * errors      LARIAT_ERR_OS for a descriptor that is not the simulation's.
 * thread      the simulation's. */
LARIAT_API lariat_status lariat_simulation_descriptor_set_ready(lariat_simulation *simulation, lariat_socket descriptor,
                                                                int32_t readiness);

/* Forgets a descriptor of the simulation; a watcher of it is told nothing more.
 *
 * descriptor  one made by lariat_simulation_descriptor_new.
 * errors      LARIAT_ERR_OS for a descriptor that is not the simulation's.
 * thread      the simulation's. */
LARIAT_API lariat_status lariat_simulation_descriptor_close(lariat_simulation *simulation, lariat_socket descriptor);

/* ---- Simulated networks: the links between the hosts of a simulation, and what goes wrong there ------------------ */

/* How packets travel from one host to another: to be filled by lariat_link_init, changed, and given to
 * lariat_simulation_set_link, which copies it. Between programs on one host nothing takes time or is lost. */
typedef struct lariat_link {
    /* Set by lariat_link_init. */
    uint32_t struct_size;
    /* 1: nothing gets through; 0: it does (default). */
    int32_t partitioned;
    /* The way itself, in seconds; default 0.0005. */
    double latency;
    /* Up to so many seconds more, by chance, for each packet: datagrams may overtake each other; default 0. */
    double jitter;
    /* Bytes a second: what is sent meanwhile waits, however much it is; 0: no limit (default). Up to 1e12. */
    double bandwidth;
    /* How probably a packet is lost, 0 to 1: of a stream it is sent again, which takes time; default 0. */
    double loss;
    /* How probably a datagram comes twice, 0 to 1; default 0. */
    double duplication;
    /* How probably a datagram is held back for a while, so that later ones overtake it, 0 to 1; default 0. */
    double reordering;
} lariat_link;

/* Fills a link with the defaults, those of a good local network.
 *
 * link         written.
 * struct_size  sizeof(lariat_link).
 * thread       any. */
LARIAT_API lariat_status lariat_link_init(lariat_link *link, uint32_t struct_size);

/* Sets how packets travel from one host to another from now on; what is on its way already arrives as it was sent.
 * One direction: the other is a second call. Where several links fit, the one that names more hosts counts, and of
 * two that name one the one that names the sender.
 *
 * from    the name of a host; may be NULL: any.
 * to      the same.
 * link    prepared by lariat_link_init; copied.
 * thread  the simulation's. */
LARIAT_API lariat_status lariat_simulation_set_link(lariat_simulation *simulation, const char *from, const char *to,
                                                    const lariat_link *link);

/* Lets nothing through between two hosts, in both directions, or again. Streams send what was lost once it is over; one
 * that gets nothing through for 120 seconds ends with LARIAT_ERR_TIMED_OUT, one that connects after 127. Datagrams are
 * lost.
 *
 * host_a  the name of a host; may be NULL: any.
 * host_b  the same.
 * on      1: parts them; 0: ends this and all partitions between hosts that this pair covers, NULL and NULL all of them.
 *         A link's own partitioned stays as it is.
 * thread  the simulation's. */
LARIAT_API lariat_status lariat_simulation_partition(lariat_simulation *simulation, const char *host_a,
                                                     const char *host_b, int32_t on);

/* Resets the connections between two hosts, at both ends at once: they are lost with LARIAT_ERR_CONNECTION_LOST.
 *
 * host_a  the name of a host; may be NULL: any. The same as host_b: those within the host.
 * host_b  the same.
 * thread  the simulation's. */
LARIAT_API lariat_status lariat_simulation_reset_connections(lariat_simulation *simulation, const char *host_a,
                                                             const char *host_b);

/* Has the next connections to a port refused, as if nobody listened there.
 *
 * host      the name of the host that is connected to.
 * port      1 to 65535; 0: any of its ports.
 * attempts  how many are refused; -1: all from now on; 0: no more. Replaces what was set for this port.
 * thread    the simulation's. */
LARIAT_API lariat_status lariat_simulation_refuse_connections(lariat_simulation *simulation, const char *host,
                                                              int32_t port, int32_t attempts);

/* Sets how probably the system does less than it could: reads or writes a part of what it was asked for, or says that
 * there is nothing to do though there is. Programs above cannot tell, but what is wrong in them shows.
 *
 * short_io_probability  0 to 1; a new simulation has 0.1.
 * thread                the simulation's. */
LARIAT_API lariat_status lariat_simulation_set_faults(lariat_simulation *simulation, double short_io_probability);

/* Tells the address of a host: 10.0.0.1 and fd00::1 for the first that was named, by a reactor or in a call like this.
 *
 * host      its name; it is there from now on.
 * family    4 or 6.
 * text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
 * capacity  how many bytes there is room for; 46 are enough.
 * length    written: how many bytes the whole address has, without the NUL; may be NULL.
 * errors    LARIAT_ERR_TOO_LONG when there was not enough room.
 * thread    the simulation's. */
LARIAT_API lariat_status lariat_simulation_host_address(lariat_simulation *simulation, const char *host, int32_t family,
                                                        char *text, size_t capacity, size_t *length);

/* ---- HTTP agents: clients of HTTP -------------------------------------------------------------------------------- */

/* How an HTTP agent does what it does: to be filled by lariat_http_agent_options_init and changed. */
typedef struct lariat_http_agent_options {
    /* Set by lariat_http_agent_options_init. */
    uint32_t struct_size;
    /* LARIAT_HTTP_AGENT_COOKIES and so on, together; default 0. */
    uint32_t flags;
    /* Connections at most, used or not, those that are being made among them; 0: no limit. Default 256. */
    uint32_t max_connections;
    /* The same for each host. Default 6. */
    uint32_t max_connections_per_host;
    /* Connections to a host that are kept while nobody uses them; 0: none is. Default 6. */
    uint32_t max_idle_per_host;
    /* Requests that may wait for a connection; 0: no limit (default). */
    uint32_t max_waiting;
    /* Redirects that are followed, one after the other; 0: none is, their responses are as good as others. Default 10.
     */
    uint32_t max_redirects;
    /* Bytes of a response's head. Default 65536. */
    uint32_t max_head_size;
    /* Headers of a response. Default 128. */
    uint32_t max_headers;
    /* Responses with 1xx before the one that counts. Default 16. */
    uint32_t max_informational;
    /* So many times its size a compressed body may become, once it is more than 1 MiB; 0: no limit. Default 200. */
    uint32_t max_inflate_ratio;
    /* 0. */
    uint32_t reserved;
    /* Bytes of a response's body, as it comes; 0: no limit (default). See lariat_http_response_read_body, too. */
    uint64_t max_body_size;
    /* Seconds after which a connection that nobody uses is closed: 0 or more, or INFINITY. Default 60. */
    double idle_connection_seconds;
    /* Seconds that a connection may take, its look-up included: 0 or more, or INFINITY. Default 30. */
    double connect_seconds;
    /* Seconds that the head of a response may take when all of the request is sent; or INFINITY. Default 60. */
    double response_seconds;
    /* Seconds in which nothing comes or goes while something should; or INFINITY. Default 60. */
    double silence_seconds;
    /* Seconds that a request may take, redirects and the body of its response included; or INFINITY (default). */
    double total_seconds;
    /* Seconds that a server may take to say that it wants a body, where it is asked. Default 1. */
    double continue_seconds;
    /* What it says it is. May be NULL: "lariat/" and the version (default). Empty: it does not say. */
    const char *user_agent;
    /* What TLS is like: of a client. May be NULL: whom the system trusts is trusted (default). It may be freed afterwards.
     * Of its alpn only http/1.1 is spoken. */
    const lariat_tls_configuration *tls;
    /* A proxy for all requests, such as "http://user:password@proxy:3128": requests by http are sent to it as they are, for https it
     * is asked for a tunnel (CONNECT). May be NULL: none (default). */
    const char *proxy;
    /* What goes by no proxy, with commas between: names, which stand for all below them too, with a port or without;
     * addresses; networks such as 10.0.0.0/8; or *. May be NULL. Of proxy alone: the environment has its own. */
    const char *no_proxy;
    /* Tells which domains are public suffixes. May be NULL: then a cookie for a parent domain is kept for the host alone
     * that has set it, since nobody knows whether strangers share that domain. */
    lariat_public_suffix_fn is_public_suffix;
    /* What that gets; may be NULL. It has to live as long as the agent. */
    void *user_data;
} lariat_http_agent_options;

/* Makes an HTTP client, which keeps its connections to use them again.
 *
 * options  copied; may be NULL: the defaults.
 * returns  the agent, to be freed by lariat_http_agent_free or with its scope or reactor; NULL on failure.
 * errors   LARIAT_ERR_INVALID_ARGUMENT also for a proxy that is none.
 * thread   the reactor's.
 * Twisted  twisted.web.client.Agent with HTTPConnectionPool, RedirectAgent, ContentDecoderAgent, CookieAgent and ProxyAgent.
 */
LARIAT_API lariat_http_agent *lariat_http_agent_new(lariat_reactor *reactor, const lariat_http_agent_options *options);

/* Ends an agent: its requests, and the bodies that are still coming, fail with LARIAT_ERR_CLOSED, from inside this call, and its
 * connections are closed. Responses that are whole live on. Its handle is stale from here on.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_agent_free(lariat_http_agent *agent);

/* What an HTTP agent is asked for: to be filled by lariat_http_request_options_init and changed. All is copied. */
typedef struct lariat_http_request_options {
    /* Set by lariat_http_request_options_init. */
    uint32_t struct_size;
    /* LARIAT_HTTP_REQUEST_NO_REDIRECTS and so on, together; default 0. */
    uint32_t flags;
    /* Such as "PUT". May be NULL: "GET" (default). */
    const char *method;
    /* Such as "https://example.org:8443/path?query"; must be set. User and password in it are sent as by user and password; a
     * fragment is left out. A host is ASCII, as it is looked up. */
    const char *url;
    /* "Name: value" each, ended by NULL; they go before what the agent would say by itself. May be NULL (default). Not Content-Length,
     * Transfer-Encoding and Expect, which follow from the rest. */
    const char *const *headers;
    /* The body; may be NULL if body_len is 0. */
    const uint8_t *body;
    /* Bytes of body. */
    size_t body_len;
    /* The file whose content is the body; the system's own bytes. May be NULL (default). */
    const char *body_path;
    /* Told when the body is wanted, which is written by lariat_http_exchange_write then. May be NULL (default): nobody writes it.
     */
    lariat_http_exchange_fn start_producing;
    /* Told when too much waits to be sent. May be NULL. */
    lariat_http_exchange_fn pause_producing;
    /* Told when there is room again. May be NULL. */
    lariat_http_exchange_fn resume_producing;
    /* Told once when no more is wanted although the body is not finished. May be NULL. */
    lariat_http_exchange_fn stop_producing;
    /* What these functions get; may be NULL. */
    void *producer_data;
    /* Frees producer_data, exactly once: when the request is over, or when the call that got these options fails. May be NULL.
     */
    lariat_free_fn free_producer_data;
    /* Bytes that start_producing will have written in the end; default LARIAT_HTTP_UNKNOWN_LENGTH. */
    int64_t body_length;
    /* For Basic authentication (RFC 7617), which anybody can read who sees the request; may be NULL (default). */
    const char *user;
    /* Goes with user; may be NULL: empty. */
    const char *password;
    /* Where to connect in place of what the URL says, as for lariat_reactor_connect, such as "unix:///run/app.sock"; by no
     * proxy then. May be NULL (default). */
    const char *endpoint;
    /* Seconds that all of it may take, redirects and the body of the response included; or INFINITY; default -1: as the agent's options say.
     */
    double total_seconds;
} lariat_http_request_options;

/* Asks for what a URL names.
 *
 * A connection is one that is kept, or a new one; at max_connections the request waits for its turn. Redirects are followed: by GET after
 * 303, and after 301 and 302 if it was a POST, else by the same method; Authorization, Cookie and Host are not told to
 * another scheme, host or port. A request that may be repeated is tried once more when a connection that was used before ends
 * before the first byte of an answer.
 *
 * options  copied. Of the producer's data: owned by the library from here on if there is a free_producer_data.
 * returns  a Deferred that fires with a lariat_http_response when its head has come, whatever its code; its value is freed with
 *          it unless it is taken. Cancelling it gives up. NULL on failure.
 * errors   LARIAT_ERR_LIMIT at max_waiting. The Deferred fails as that of lariat_reactor_connect, or with LARIAT_ERR_CONNECTION_LOST,
 *          LARIAT_ERR_TRUNCATED, LARIAT_ERR_TIMED_OUT, LARIAT_ERR_BAD_MESSAGE when what came is no response, LARIAT_ERR_LIMIT when a limit
 *          is reached, LARIAT_ERR_REDIRECT, or LARIAT_ERR_CLOSED when the agent is freed; the message names method and URL.
 * thread   the reactor's. Nothing is called from inside this call.
 * Twisted  Agent.request. */
LARIAT_API lariat_deferred *lariat_http_agent_request(lariat_http_agent *agent,
                                                      const lariat_http_request_options *options);

/* The same as lariat_http_agent_request by GET, with nothing but a URL.
 *
 * url     such as "https://example.org/".
 * thread  the reactor's. */
LARIAT_API lariat_deferred *lariat_http_agent_get(lariat_http_agent *agent, const char *url);

/* The same as lariat_http_agent_get by HEAD: the response has no body.
 *
 * url     such as "https://example.org/".
 * thread  the reactor's. */
LARIAT_API lariat_deferred *lariat_http_agent_head(lariat_http_agent *agent, const char *url);

/* The same as lariat_http_agent_get by POST, with a body.
 *
 * url           such as "https://example.org/".
 * content_type  such as "application/json". May be NULL: it is not said.
 * data          the body, copied; may be NULL if len is 0.
 * len           bytes.
 * thread        the reactor's. */
LARIAT_API lariat_deferred *lariat_http_agent_post(lariat_http_agent *agent, const char *url, const char *content_type,
                                                   const uint8_t *data, size_t len);

/* Closes the connections of an agent that nobody uses.
 *
 * thread   the reactor's.
 * Twisted  HTTPConnectionPool.closeCachedConnections. */
LARIAT_API lariat_status lariat_http_agent_close_idle(lariat_http_agent *agent);

/* Tells how many connections an agent has: used, kept, being made and being closed.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_agent_connections(const lariat_http_agent *agent);

/* Tells how many connections an agent keeps that nobody uses.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_agent_idle(const lariat_http_agent *agent);

/* Tells how many requests of an agent wait for a connection.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_agent_waiting(const lariat_http_agent *agent);

/* Keeps a cookie as if a response had set it, whether the agent keeps others or not; it is sent with LARIAT_HTTP_AGENT_COOKIES alone.
 *
 * url     where the response would have come from.
 * cookie  the value of a Set-Cookie, such as "name=value; Path=/; Max-Age=3600".
 * errors  LARIAT_ERR_INVALID_ARGUMENT also for a cookie that this URL may not set.
 * thread  the reactor's. is_public_suffix of the options may be called from inside this call. */
LARIAT_API lariat_status lariat_http_agent_set_cookie(lariat_http_agent *agent, const char *url, const char *cookie);

/* Forgets the cookies of an agent.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_agent_clear_cookies(lariat_http_agent *agent);

/* Tells which cookies a request to a URL would have.
 *
 * url       such as "https://example.org/".
 * text      written: "name=value; other=value", NUL-ended; may be NULL if capacity is 0.
 * capacity  bytes of text.
 * len       written: bytes that are needed, without the NUL; 0: there are none. May be NULL.
 * errors    LARIAT_ERR_TOO_LONG when they do not fit.
 * thread    the reactor's. */
LARIAT_API lariat_status lariat_http_agent_cookies(lariat_http_agent *agent, const char *url, char *text,
                                                   size_t capacity, size_t *len);

/* ---- How an HTTP agent does what it does ------------------------------------------------------------------------- */

enum {
    /* Cookies are kept and sent (RFC 6265). */
    LARIAT_HTTP_AGENT_COOKIES = 1,
    /* Compressed bodies are neither asked for nor undone. */
    LARIAT_HTTP_AGENT_NO_DECOMPRESSION = 2,
    /* A redirect may lead from https to http. */
    LARIAT_HTTP_AGENT_ALLOW_DOWNGRADE = 4,
    /* The environment says which proxies there are, as it does for curl: http_proxy, https_proxy, all_proxy, no_proxy, and all but the
     * first in capitals, too. Read when the agent is made. */
    LARIAT_HTTP_AGENT_ENVIRONMENT_PROXIES = 8,
};

/* Fills the options of an agent with the defaults.
 *
 * options      written.
 * struct_size  sizeof(lariat_http_agent_options).
 * thread       any. */
LARIAT_API lariat_status lariat_http_agent_options_init(lariat_http_agent_options *options, uint32_t struct_size);

/* ---- Responses that an HTTP agent has got ------------------------------------------------------------------------ */

/* Tells the code of a response.
 *
 * returns  such as 200; negative: an error.
 * thread   the reactor's.
 * Twisted  IResponse.code. */
LARIAT_API int32_t lariat_http_response_code(const lariat_http_response *response);

/* Tells what the server calls the code of its response.
 *
 * returns  such as "Not Found", valid as long as the response; may be empty. NULL on failure.
 * thread   the reactor's.
 * Twisted  IResponse.phrase. */
LARIAT_API const char *lariat_http_response_reason(const lariat_http_response *response);

/* Tells where a response came from: after redirects, the last.
 *
 * returns  a URL without user and fragment, valid as long as the response; NULL on failure.
 * thread   the reactor's. */
LARIAT_API const char *lariat_http_response_url(const lariat_http_response *response);

/* Tells how many redirects have led to a response.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_response_redirects(const lariat_http_response *response);

/* Looks for a header of a response.
 *
 * name     in any case.
 * returns  the value of the first header of that name, valid as long as the response; NULL if there is none, which is no failure, and
 *          on failure. Its bytes are the server's; it has no control characters but tabulators.
 * thread   the reactor's.
 * Twisted  IResponse.headers.getRawHeaders. */
LARIAT_API const char *lariat_http_response_header(const lariat_http_response *response, const char *name);

/* Tells how many headers a response has.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_response_header_count(const lariat_http_response *response);

/* Tells one of the headers of a response, in the order in which they came.
 *
 * index   from 0 on.
 * name    written: valid as long as the response.
 * value   written: the same.
 * errors  LARIAT_ERR_INVALID_ARGUMENT when there are not so many.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_response_header_at(const lariat_http_response *response, size_t index,
                                                        const char **name, const char **value);

/* Looks for a trailer: a header that came behind a body in chunks, once all of that has come.
 *
 * name     in any case.
 * returns  its value, valid as long as the response; NULL if there is none, which is no failure, and on failure.
 * thread   the reactor's. */
LARIAT_API const char *lariat_http_response_trailer(const lariat_http_response *response, const char *name);

/* Tells how long the body of a response will be.
 *
 * length  written: bytes; LARIAT_HTTP_UNKNOWN_LENGTH: nobody knows, as of a body in chunks, or of one that was compressed and is undone.
 * thread  the reactor's.
 * Twisted IResponse.length. */
LARIAT_API lariat_status lariat_http_response_content_length(const lariat_http_response *response, int64_t *length);

/* Reads the body of a response as a whole. Until somebody takes the body, no more of it is read than has come with the head.
 *
 * max_size  bytes at most, when it is decompressed; 0: 64 MiB.
 * returns   a Deferred that fires with a lariat_bytes, which is freed with it unless it is taken; cancelling it closes the
 *           connection. NULL on failure. It fails with LARIAT_ERR_LIMIT when the body is longer, LARIAT_ERR_TRUNCATED when it was cut
 *           short, LARIAT_ERR_BAD_FRAME when it is compressed and damaged, or for the reasons of lariat_http_agent_request.
 * errors    LARIAT_ERR_INVALID_STATE when somebody takes the body already.
 * thread    the reactor's.
 * Twisted   twisted.web.client.readBody. */
LARIAT_API lariat_deferred *lariat_http_response_read_body(lariat_http_response *response, uint64_t max_size);

/* Has functions told of the body of a response as it comes. Until somebody takes the body, no more of it is read than has come
 * with the head. The response lives until ended has returned, also when its Deferred is gone.
 *
 * received   told of each piece.
 * ended      told once, last.
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_INVALID_STATE when somebody takes the body already.
 * thread     the reactor's. Nothing is called from inside this call.
 * Twisted    IResponse.deliverBody. */
LARIAT_API lariat_status lariat_http_response_deliver_body(lariat_http_response *response,
                                                           lariat_http_response_received_fn received,
                                                           lariat_http_response_ended_fn ended, void *user_data);

/* The same as lariat_http_response_deliver_body, with user_data owned by the library from here on: free_user_data(user_data) is called exactly
 * once, after ended, or before this answers that it failed.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_http_response_deliver_body_full(lariat_http_response *response,
                                                                lariat_http_response_received_fn received,
                                                                lariat_http_response_ended_fn ended, void *user_data,
                                                                lariat_free_fn free_user_data);

/* Has the body of a response wait: received is not called again before lariat_http_response_resume_body, and the server is held up.
 *
 * errors  LARIAT_ERR_INVALID_STATE when all of it was told.
 * thread  the reactor's.
 * Twisted TransportProxyProducer.pauseProducing. */
LARIAT_API lariat_status lariat_http_response_pause_body(lariat_http_response *response);

/* Lets the body of a response come again.
 *
 * thread  the reactor's. Nothing is called from inside this call. */
LARIAT_API lariat_status lariat_http_response_resume_body(lariat_http_response *response);

/* Frees a response that was taken by lariat_deferred_take, or that nobody will look at any more; one that was not taken is freed
 * with its Deferred. What takes its body fails with LARIAT_ERR_CLOSED, from inside this call. A body that is not whole and that nobody
 * takes is read to its end if that is near, else its connection is closed.
 *
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_response_free(lariat_http_response *response);

/* ---- Requests of an agent whose body is written bit by bit ------------------------------------------------------- */

/* Writes a piece of the body of a request. Allowed from when start_producing was called until lariat_http_exchange_finish or
 * stop_producing. All of it is accepted; when too much waits pause_producing is called, maybe from inside this call.
 *
 * data    len bytes, copied or sent; may be NULL if len is 0.
 * len     bytes.
 * errors  LARIAT_ERR_INVALID_STATE when the body is not to be written now; LARIAT_ERR_TOO_LONG past body_length.
 * thread  the reactor's.
 * Twisted IConsumer.write, in IBodyProducer.startProducing. */
LARIAT_API lariat_status lariat_http_exchange_write(lariat_http_exchange *exchange, const uint8_t *data, size_t len);

/* Ends the body of a request.
 *
 * errors  LARIAT_ERR_INVALID_STATE when the body is not to be written now, or less than body_length was written.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_exchange_finish(lariat_http_exchange *exchange);

/* Says that there will be no more of the body of a request, although it is not whole: the request fails with this, and its connection is
 * closed, which tells the server.
 *
 * code     of the failure: not 0; negative the library's, positive the program's.
 * message  copied; may be NULL.
 * errors   LARIAT_ERR_INVALID_STATE when the body is not to be written now.
 * thread   the reactor's. The request's Deferred fires from inside this call. */
LARIAT_API lariat_status lariat_http_exchange_fail(lariat_http_exchange *exchange, int32_t code, const char *message);

/* ---- Requests of HTTP: what a client has asked for --------------------------------------------------------------- */

/* Tells the method of a request.
 *
 * returns  such as "GET", for as long as the request lives; NULL on failure.
 * thread   the reactor's.
 * Twisted  Request.method. */
LARIAT_API const char *lariat_http_request_method(lariat_http_request *request);

/* Tells the target of a request as it was sent: path and query, a URL, "*", or a host and a port.
 *
 * returns  for as long as the request lives; NULL on failure.
 * thread   the reactor's.
 * Twisted  Request.uri. */
LARIAT_API const char *lariat_http_request_target(lariat_http_request *request);

/* Tells the path of a request, percent-decoded, without the query. It is never without its first slash, but for "*" and
 * what CONNECT names. Bytes that were encoded can be anything but NUL, a slash among them; segments of dots are left as
 * they are.
 *
 * returns  for as long as the request lives; NULL on failure.
 * thread   the reactor's.
 * Twisted  Request.path. */
LARIAT_API const char *lariat_http_request_path(lariat_http_request *request);

/* Tells the query of a request, as it was sent: what is behind the question mark.
 *
 * returns  for as long as the request lives; NULL if there is none, and on failure.
 * thread   the reactor's. */
LARIAT_API const char *lariat_http_request_query(lariat_http_request *request);

/* Tells the first value of a parameter in the query of a request, decoded: %XX is a byte, + a space. One whose encoding
 * is wrong, or that has a NUL, is not there.
 *
 * name     as decoded.
 * returns  for as long as the request lives; NULL if there is none, and on failure.
 * thread   the reactor's.
 * Twisted  Request.args. */
LARIAT_API const char *lariat_http_request_query_parameter(lariat_http_request *request, const char *name);

/* Tells what stands in the path of a request where the router's pattern has a parameter, percent-decoded.
 *
 * name     as in the pattern, without the colon or star.
 * returns  for as long as the request lives; NULL if the pattern has none of that name, and on failure.
 * thread   the reactor's. */
LARIAT_API const char *lariat_http_request_parameter(lariat_http_request *request, const char *name);

/* Tells the version of HTTP of a request.
 *
 * returns  10, 11 or 20; negative: an error.
 * thread   the reactor's.
 * Twisted  Request.clientproto. */
LARIAT_API int32_t lariat_http_request_version(lariat_http_request *request);

/* Tells which host a request is for: that of its target, else of its header Host; with the port, if there is one.
 *
 * returns  for as long as the request lives; NULL if there is none, and on failure.
 * thread   the reactor's.
 * Twisted  Request.getRequestHostname. */
LARIAT_API const char *lariat_http_request_host(lariat_http_request *request);

/* Tells the value of the first header of a name, in any case.
 *
 * name     such as "Accept".
 * returns  for as long as the request lives; it may not be UTF-8. NULL if there is none, and on failure.
 * thread   the reactor's.
 * Twisted  Request.getHeader. */
LARIAT_API const char *lariat_http_request_header(lariat_http_request *request, const char *name);

/* Tells how many headers a request has.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_request_header_count(lariat_http_request *request);

/* Tells one of the headers of a request, in the order in which they came.
 *
 * index   from 0 on.
 * name    written: as it was sent; lives as long as the request; may be NULL.
 * value   written: the same; may be NULL.
 * errors  LARIAT_ERR_INVALID_ARGUMENT when there are not as many.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_request_header_at(lariat_http_request *request, size_t index, const char **name,
                                                       const char **value);

/* Tells the connection that a request came by: for its addresses and its TLS. It is not to be written to or closed.
 *
 * returns  the connection; NULL on failure.
 * thread   the reactor's.
 * Twisted  Request.transport. */
LARIAT_API lariat_transport *lariat_http_request_transport(lariat_http_request *request);

/* Tells whether a request came by TLS.
 *
 * returns  1 or 0; negative: an error.
 * thread   the reactor's.
 * Twisted  Request.isSecure. */
LARIAT_API int32_t lariat_http_request_is_secure(lariat_http_request *request);

/* Keeps a pointer of the host with a request.
 *
 * user_data       may be NULL; the library's from here on.
 * free_user_data  may be NULL; called once, when the request is over, when another pointer takes its place, or before
 *                 this fails.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_http_request_set_user_data(lariat_http_request *request, void *user_data,
                                                           lariat_free_fn free_user_data);

/* Tells the pointer that lariat_http_request_set_user_data has kept.
 *
 * returns  the pointer; NULL if there is none, and on failure.
 * thread   the reactor's. */
LARIAT_API void *lariat_http_request_user_data(lariat_http_request *request);

/* Makes a scope for what belongs to a request, or tells the one that was made: it is ended and freed when the request is
 * over. Until it is entered, nothing joins it.
 *
 * returns  the scope, the request's; NULL on failure.
 * errors   LARIAT_ERR_CLOSED or LARIAT_ERR_INVALID_STATE when the request is over.
 * thread   the reactor's. */
LARIAT_API lariat_scope *lariat_http_request_scope(lariat_http_request *request);

/* Tells how many bytes the body of a request has.
 *
 * returns  0 or more; -1: that shows only when it has come, and on failure.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_request_content_length(lariat_http_request *request);

/* Sets another limit for the body of a request than the server's, before it is asked for.
 *
 * bytes   at most; UINT64_MAX: any.
 * errors  LARIAT_ERR_INVALID_STATE when it was asked for already.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_request_set_max_body(lariat_http_request *request, uint64_t bytes);

/* Reads the body of a request. Nothing of a body is read before it is asked for; a client that has sent "Expect:
 * 100-continue" is told to send it now.
 *
 * returns  a Deferred that fires with a lariat_bytes; it fails with LARIAT_ERR_LIMIT when there are more than may be
 *          (which is answered with 413), and with the reason when the client is gone or too slow. NULL on failure.
 * errors   LARIAT_ERR_INVALID_STATE when it was asked for already, or the response is finished.
 * thread   the reactor's. */
LARIAT_API lariat_deferred *lariat_http_request_read_body(lariat_http_request *request);

/* Has the body of a request handed on as it comes, also while the response is written already. An empty one is only
 * told to have ended.
 *
 * received   told of each part.
 * ended      told once: that all has come, or why the rest does not.
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_INVALID_STATE when it was asked for already, or the response is finished.
 * thread     the reactor's. Neither is called from inside this. */
LARIAT_API lariat_status lariat_http_request_set_body_functions(lariat_http_request *request,
                                                                lariat_http_body_received_fn received,
                                                                lariat_http_body_ended_fn ended, void *user_data);

/* The same as lariat_http_request_set_body_functions, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, after ended, or when this fails.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_http_request_set_body_functions_full(lariat_http_request *request,
                                                                     lariat_http_body_received_fn received,
                                                                     lariat_http_body_ended_fn ended, void *user_data,
                                                                     lariat_free_fn free_user_data);

/* Holds up a body that is handed on as it comes: the client is slowed down by its own buffers.
 *
 * errors   LARIAT_ERR_INVALID_STATE when it is not handed on.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_http_request_pause_body(lariat_http_request *request);

/* Goes on with a body that was held up.
 *
 * errors   LARIAT_ERR_INVALID_STATE when it is not handed on.
 * thread   the reactor's. */
LARIAT_API lariat_status lariat_http_request_resume_body(lariat_http_request *request);

/* Tells the whole body of a request that an event has told of.
 *
 * data    written: lives as long as the request; may be NULL.
 * len     written: how many bytes it has; may be NULL.
 * errors  LARIAT_ERR_INVALID_STATE when it is not there, or was read in another way.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_request_body(lariat_http_request *request, const uint8_t **data, size_t *len);

/* ---- What an HTTP agent is asked for ----------------------------------------------------------------------------- */

enum {
    /* Redirects are not followed: their responses are as good as others. */
    LARIAT_HTTP_REQUEST_NO_REDIRECTS = 1,
    /* A compressed body is neither asked for nor undone. */
    LARIAT_HTTP_REQUEST_NO_DECOMPRESSION = 2,
    /* The server is asked whether it wants the body before that is sent (Expect: 100-continue). */
    LARIAT_HTTP_REQUEST_EXPECT_CONTINUE = 4,
};

/* Of body_length: nobody knows; the body goes in chunks. Twisted's UNKNOWN_LENGTH. */
#define LARIAT_HTTP_UNKNOWN_LENGTH INT64_C(-1)

/* Fills the options of a request with the defaults.
 *
 * options      written.
 * struct_size  sizeof(lariat_http_request_options).
 * thread       any. */
LARIAT_API lariat_status lariat_http_request_options_init(lariat_http_request_options *options, uint32_t struct_size);

/* ---- Responses of HTTP: what a request is answered with ---------------------------------------------------------- */

/* Answers a request with all of a response: the headers that were set, and this body.
 *
 * code          200 to 599.
 * content_type  such as "text/html; charset=utf-8"; may be NULL: none is said.
 * data          the body, copied; may be NULL if len is 0. A response to HEAD says its length and leaves it out; with 204
 *               and 304 it is left out.
 * len           how many bytes data has.
 * errors        LARIAT_ERR_INVALID_STATE when the response was begun, or is finished; LARIAT_ERR_CLOSED when the client is
 *               gone.
 * thread        the reactor's. */
LARIAT_API lariat_status lariat_http_request_respond(lariat_http_request *request, int32_t code,
                                                     const char *content_type, const uint8_t *data, size_t len);

/* Answers a request by sending the client elsewhere.
 *
 * code      301, 302, 303, 307 or 308.
 * location  a URL, or a path.
 * errors    as of lariat_http_request_respond.
 * thread    the reactor's.
 * Twisted   Request.redirect. */
LARIAT_API lariat_status lariat_http_request_redirect(lariat_http_request *request, int32_t code, const char *location);

/* Answers a request with a file, opened on the thread pool and sent without copying it where the system can. It has an
 * ETag and a Last-Modified, and conditions (If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range)
 * and ranges are answered as they are asked: with 200, 206, 304, 412 or 416; several ranges as multipart/byteranges. One
 * that is not there is answered with 404, one that may not be read with 403.
 *
 * directory     what the path may not lead out of: not by "..", not by a symbolic link (where the system can say so), not
 *               by being absolute; may be NULL: path is any, and trusted.
 * path          of the file; below directory, if there is one.
 * content_type  may be NULL: by the file's name.
 * errors        LARIAT_ERR_INVALID_STATE when the response was begun, or is finished; LARIAT_ERR_NOT_SUPPORTED by a
 *               simulated reactor. Whatever becomes of the file is answered.
 * thread        the reactor's.
 * Twisted       twisted.web.static.File. */
LARIAT_API lariat_status lariat_http_request_respond_file(lariat_http_request *request, const char *directory,
                                                          const char *path, const char *content_type);

/* Answers a request with what a Deferred gives: a lariat_bytes, or text that ends with NUL, or NULL for no body. What it
 * owns is freed afterwards. Its failure is answered as a handler's is. It is cancelled when the client is gone.
 *
 * code          200 to 599.
 * content_type  may be NULL.
 * deferred      of the same reactor; handed over, unless this fails.
 * errors        LARIAT_ERR_INVALID_STATE when the response was begun, or is finished; LARIAT_ERR_ALREADY_WAITED and so on
 *               when the Deferred cannot be waited for.
 * thread        the reactor's. */
LARIAT_API lariat_status lariat_http_request_respond_deferred(lariat_http_request *request, int32_t code,
                                                              const char *content_type, lariat_deferred *deferred);

/* Sets the code of a response that is written piece by piece. Default 200.
 *
 * code    200 to 599.
 * errors  LARIAT_ERR_INVALID_STATE when its head was sent.
 * thread  the reactor's.
 * Twisted Request.setResponseCode. */
LARIAT_API lariat_status lariat_http_request_set_response_code(lariat_http_request *request, int32_t code);

/* Sets a header of the response, in place of those of its name. Content-Length says how long a body is that is written
 * piece by piece (without it, it is sent in chunks); "Connection: close" has the connection closed afterwards;
 * Transfer-Encoding, and anything else of Connection, are the connection's own affair.
 *
 * name    a token.
 * value   without control characters: nothing in it can end the line.
 * errors  LARIAT_ERR_INVALID_STATE when the head was sent.
 * thread  the reactor's.
 * Twisted Request.setHeader. */
LARIAT_API lariat_status lariat_http_request_set_header(lariat_http_request *request, const char *name,
                                                        const char *value);

/* Adds a header to the response beside those of its name, such as another Set-Cookie.
 *
 * name    as for lariat_http_request_set_header.
 * value   the same.
 * errors  the same.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_request_add_header(lariat_http_request *request, const char *name,
                                                        const char *value);

/* Takes the headers of a name out of the response again.
 *
 * name    in any case.
 * errors  LARIAT_ERR_INVALID_STATE when the head was sent.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_request_remove_header(lariat_http_request *request, const char *name);

/* Writes a part of the response's body; before the first, the head is sent. What is written in a callback goes out when
 * that has returned. Without a Content-Length it is sent in chunks, or to a client of HTTP/1.0 until the connection is
 * closed. In answer to HEAD only the head is sent.
 *
 * data    copied, or sent; may be NULL if len is 0: then the head is sent.
 * len     how many bytes data has.
 * errors  LARIAT_ERR_INVALID_ARGUMENT when it would be more than Content-Length says; LARIAT_ERR_INVALID_STATE when the
 *         response is finished; LARIAT_ERR_CLOSED when the client is gone.
 * thread  the reactor's.
 * Twisted Request.write. */
LARIAT_API lariat_status lariat_http_request_write(lariat_http_request *request, const uint8_t *data, size_t len);

/* Finishes the response: its body is over. The request goes stale when that was told.
 *
 * errors  LARIAT_ERR_INVALID_STATE when it is finished, or fewer bytes were written than Content-Length says;
 *         LARIAT_ERR_CLOSED when the client is gone.
 * thread  the reactor's.
 * Twisted Request.finish. */
LARIAT_API lariat_status lariat_http_request_finish(lariat_http_request *request);

/* Sends a head before that of the response, with the headers that were set so far, which stay set; to a client of
 * HTTP/1.0 nothing is sent.
 *
 * code    102 to 199: such as 103, with "Link" headers.
 * errors  LARIAT_ERR_INVALID_STATE when the head of the response was sent.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_request_send_information(lariat_http_request *request, int32_t code);

/* Gives a response up that cannot be finished: the connection is cut off, so that the client notices.
 *
 * errors  LARIAT_ERR_INVALID_STATE when the response is finished; LARIAT_ERR_CLOSED when the client is gone.
 * thread  the reactor's.
 * Twisted Request.loseConnection, transport.abortConnection. */
LARIAT_API lariat_status lariat_http_request_abort(lariat_http_request *request);

/* Tells when a request is over.
 *
 * returns  a Deferred that fires, with NULL, when the response is finished, and fails when it cannot be any more:
 *          LARIAT_ERR_CONNECTION_LOST, LARIAT_ERR_TIMED_OUT and so on, as the connection has ended, LARIAT_ERR_LIMIT or
 *          LARIAT_ERR_BAD_FRAME when what came was refused. NULL on failure.
 * thread   the reactor's.
 * Twisted  Request.notifyFinish. */
LARIAT_API lariat_deferred *lariat_http_request_notify_finish(lariat_http_request *request);

/* Tells how much of the response waits to be sent.
 *
 * returns  bytes; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_request_buffered(lariat_http_request *request);

/* Who writes a response as fast as its client reads: to be filled by lariat_http_producer_init, changed, and given to
 * lariat_http_request_register_producer, which copies it. */
typedef struct lariat_http_producer {
    /* Set by lariat_http_producer_init. */
    uint32_t struct_size;
    /* 1: it writes until it is paused (push; default); 0: it writes one piece each time it is resumed (pull). */
    int32_t streaming;
    /* More than 64 KiB wait to be sent: it is to write no more; may be NULL. Not for pull. */
    lariat_http_producer_fn pause_producing;
    /* There is room: it is to write; may be NULL. */
    lariat_http_producer_fn resume_producing;
    /* Nothing is wanted any more: the client is gone; may be NULL. */
    lariat_http_producer_fn stop_producing;
} lariat_http_producer;

/* Fills a producer with the defaults.
 *
 * producer     written.
 * struct_size  sizeof(lariat_http_producer).
 * thread       any. */
LARIAT_API lariat_status lariat_http_producer_init(lariat_http_producer *producer, uint32_t struct_size);

/* Registers who writes a response, so that no more is written than the client reads. It is unregistered by
 * lariat_http_request_unregister_producer, or when the request is over.
 *
 * producer   copied.
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_ALREADY_REGISTERED; LARIAT_ERR_CLOSED or LARIAT_ERR_INVALID_STATE when the request is over: then
 *            stop_producing was called.
 * thread     the reactor's. pause_producing may be called from inside lariat_http_request_write, and from inside this.
 * Twisted    Request.registerProducer. */
LARIAT_API lariat_status lariat_http_request_register_producer(lariat_http_request *request,
                                                               const lariat_http_producer *producer, void *user_data);

/* The same as lariat_http_request_register_producer, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the producer is unregistered, or when this fails.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_http_request_register_producer_full(lariat_http_request *request,
                                                                    const lariat_http_producer *producer,
                                                                    void *user_data, lariat_free_fn free_user_data);

/* Forgets the producer of a response: it has written all that it had to.
 *
 * errors   LARIAT_ERR_INVALID_STATE when there is none.
 * thread   the reactor's.
 * Twisted  Request.unregisterProducer. */
LARIAT_API lariat_status lariat_http_request_unregister_producer(lariat_http_request *request);

/* Takes the connection of a request over, for another protocol: answers with 101 (the headers, Upgrade among them, are to
 * be set before; Connection is said by itself) or, where the method is CONNECT, with 200, and gives the connection a
 * protocol, whose connection_made is called from inside this. What the client has sent behind the request comes as the
 * first data. The request is over then, the connection lives on, and is no affair of the server any more.
 *
 * code      101; or 200 to 299, for CONNECT.
 * protocol  copied.
 * self      what the protocol's functions get; may be NULL; freed by protocol.free_self, also when this fails.
 * returns   the connection; NULL on failure.
 * errors    LARIAT_ERR_INVALID_STATE when the response was begun, or the request has a body that was not read;
 *           LARIAT_ERR_NOT_SUPPORTED by HTTP/2; LARIAT_ERR_CLOSED when the client is gone.
 * thread    the reactor's.
 * Twisted   transport.switchProtocol. */
LARIAT_API lariat_transport *lariat_http_request_upgrade(lariat_http_request *request, int32_t code,
                                                         const lariat_protocol *protocol, void *self);

/* ---- Routers of HTTP servers: which requests go to which handler ------------------------------------------------- */

enum {
    /* For lariat_http_router_add_files: a directory without an index.html is answered with a list of what is in it. */
    LARIAT_HTTP_FILES_LIST = 1,
    /* The same: a directory's index.html is not served for it. */
    LARIAT_HTTP_FILES_NO_INDEX = 2,
    /* The same: names that begin with a dot are served, too. */
    LARIAT_HTTP_FILES_HIDDEN = 4,
};

/* Makes a router without routes, for lariat_http_server_set_router.
 *
 * returns  the router, to be freed by lariat_http_router_free or with its scope or reactor; NULL on failure.
 * thread   the reactor's. */
LARIAT_API lariat_http_router *lariat_http_router_new(lariat_reactor *reactor);

/* Adds a route. A path that no route has is answered with 404; a method that none of the path's routes has with 405 and
 * the header Allow, OPTIONS with 204 and the same, HEAD by the route of GET.
 *
 * method      such as "GET"; "*": any.
 * pattern     a path, as "/users/:id", whose parameter "id" is one segment, not empty; a last segment of "*rest" is all
 *             that is left, maybe nothing. lariat_http_request_parameter tells them. Names are compared
 *             percent-decoded. Where several patterns fit, the first segment in which they differ decides: a name goes
 *             before a parameter, and that before the rest.
 * handler     called for each request.
 * user_data   may be NULL; passed through.
 * errors      LARIAT_ERR_ALREADY_REGISTERED when there is such a route.
 * thread      the reactor's.
 * Twisted     Resource.putChild, in klein's way. */
LARIAT_API lariat_status lariat_http_router_add(lariat_http_router *router, const char *method, const char *pattern,
                                                lariat_http_handler_fn handler, void *user_data);

/* The same as lariat_http_router_add, with user_data owned by the library from here on: free_user_data(user_data) is
 * called exactly once, when the router is freed and no call of the handler is running, or when this fails.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_http_router_add_full(lariat_http_router *router, const char *method,
                                                     const char *pattern, lariat_http_handler_fn handler,
                                                     void *user_data, lariat_free_fn free_user_data);

/* Serves the files in a directory, as lariat_http_request_respond_file does, to GET and HEAD: nothing outside of it, by
 * whatever path or symbolic link. A directory is answered with its index.html; its path without the slash at the end
 * with a redirection to that with it.
 *
 * prefix     the path below which they are, as "/" or "/static".
 * directory  where they are.
 * flags      LARIAT_HTTP_FILES_LIST and so on, or 0.
 * errors     LARIAT_ERR_ALREADY_REGISTERED when there is such a route.
 * thread     the reactor's.
 * Twisted    twisted.web.static.File. */
LARIAT_API lariat_status lariat_http_router_add_files(lariat_http_router *router, const char *prefix,
                                                      const char *directory, uint32_t flags);

/* Tells how many routes a router has.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_router_routes(lariat_http_router *router);

/* Ends a router: its handlers are not called any more, and servers that have it answer 404. Its handle is stale from
 * here on.
 *
 * thread  the reactor's. It may be called from inside of a handler. */
LARIAT_API lariat_status lariat_http_router_free(lariat_http_router *router);

/* ---- HTTP servers ------------------------------------------------------------------------------------------------ */

/* How much an HTTP server takes, and how long it waits: to be filled by lariat_http_server_options_init and changed.
 * Seconds are 0 or more, or INFINITY: for ever. */
typedef struct lariat_http_server_options {
    /* Set by lariat_http_server_options_init. */
    uint32_t struct_size;
    /* Bytes of a request's first line, at most: more is answered with 414. Default 8192. */
    uint32_t max_request_line;
    /* Bytes of a request's headers, at most: more is answered with 431. Default 32768. */
    uint32_t max_header_bytes;
    /* Headers of a request, at most, up to 256: more is answered with 431. Default 100. */
    uint32_t max_headers;
    /* Bytes of a request's body, at most, unless lariat_http_request_set_max_body says otherwise for one: more is
     * answered with 413. Default 1048576. */
    uint64_t max_body;
    /* Bytes that wait while the request before them is being answered, or while nobody takes the body in: with more,
     * nothing is read. Default 65536. */
    uint32_t max_pipelined_bytes;
    /* Requests of a connection, at most: it is closed after so many; 0: no limit (default). */
    uint32_t max_requests_per_connection;
    /* Connections at most, of each endpoint: who comes then waits in the backlog; 0: no limit (default). */
    uint32_t max_connections;
    /* Connections from one IP address at most, of each endpoint: one more is closed at once; 0: no limit (default). */
    uint32_t max_connections_per_peer;
    /* Bytes a second that a client has to send of a body at least, on average and after body_seconds; 0: any.
     * Default 500. */
    uint32_t min_body_rate;
    /* 1: responses have a header Date (default). */
    int32_t send_date;
    /* 1: a client that sends no more is still answered; 0: a request that is not answered then is lost, for most such
     * clients are gone (default). */
    int32_t answer_half_closed;
    /* Zero. */
    uint32_t reserved;
    /* How long a head may take, from its first byte on, and from when a client has connected: answered with 408.
     * Default 60. */
    double head_seconds;
    /* How long a connection may wait for its next request: then it is closed. Default 75. */
    double idle_seconds;
    /* How long nothing may come of a body that is wanted: answered with 408. Default 60. */
    double body_seconds;
    /* How long a request may take in all, from its head to the end of its response: answered with 503, or cut off.
     * Default INFINITY. */
    double request_seconds;
    /* How long a client may read nothing of what waits for it: then it is cut off. Default 60. */
    double write_seconds;
    /* How long a client that was refused has to read the answer, before the connection is closed. Default 5. */
    double linger_seconds;
    /* What the header Server says; copied; NULL: "lariat" (default); empty: it is not sent. */
    const char *server_name;
    /* 1: HTTP/2 is offered to who comes by TLS, by ALPN (default). */
    int32_t http2;
    /* 1: a client that knows of it may speak HTTP/2 on a plain endpoint as well (RFC 9113, 3.3). Default 0. */
    int32_t http2_on_plain;
    /* Requests of one connection of HTTP/2 at once, at most: one more is refused. Default 128. */
    uint32_t http2_max_streams;
    /* Bytes of a body that may come on one stream before they are taken. Default 65536. */
    uint32_t http2_stream_window;
    /* The same for all streams of a connection together, 65535 at least; 0: as much as all may have, so that none that is
     * paused holds up another (default). */
    uint32_t http2_connection_window;
    /* Bytes of a frame that comes, from 16384 to 16777215. Default 16384. */
    uint32_t http2_max_frame;
    /* Frames that carry neither headers nor data, at once: a client that sends more of them, for which it has no cause, is
     * told to calm down, and closed. Default 1000. */
    uint32_t http2_control_frames;
    /* So many more a second. Default 100. */
    uint32_t http2_control_frames_per_second;
    /* Requests that a client gives up by resetting them, at once; with more, it is told to calm down, and closed.
     * Default 1000. */
    uint32_t http2_resets;
    /* So many more a second. Default 33. */
    uint32_t http2_resets_per_second;
} lariat_http_server_options;

/* Fills the options of an HTTP server with the defaults.
 *
 * options      written.
 * struct_size  sizeof(lariat_http_server_options).
 * thread       any. */
LARIAT_API lariat_status lariat_http_server_options_init(lariat_http_server_options *options, uint32_t struct_size);

/* Makes a server of HTTP/1.1 and HTTP/2. It answers 404 until it has a handler, and listens nowhere yet.
 *
 * options  copied; may be NULL: the defaults.
 * returns  the server, to be freed by lariat_http_server_free or with its scope or reactor; NULL on failure.
 * thread   the reactor's.
 * Twisted  twisted.web.server.Site. */
LARIAT_API lariat_http_server *lariat_http_server_new(lariat_reactor *reactor,
                                                      const lariat_http_server_options *options);

/* Sets the function that handles the requests of a server, in place of what did.
 *
 * handler    called for each request.
 * user_data  may be NULL; passed through.
 * thread     the reactor's. Callbacks come from turns of the loop. */
LARIAT_API lariat_status lariat_http_server_set_handler(lariat_http_server *server, lariat_http_handler_fn handler,
                                                        void *user_data);

/* The same as lariat_http_server_set_handler, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the server is freed or has another handler, and no call of
 * this one is running; or when this fails.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_http_server_set_handler_full(lariat_http_server *server, lariat_http_handler_fn handler,
                                                             void *user_data, lariat_free_fn free_user_data);

/* Has a server queue LARIAT_EVENT_HTTP_REQUEST for each request, once all of its body has come, instead of calling a
 * handler. The host answers it by lariat_http_request_respond and the like.
 *
 * tag     any number; comes back in the events.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_server_set_event(lariat_http_server *server, uint64_t tag);

/* Has a router say who handles the requests of a server, in place of what did.
 *
 * router  of the same reactor; stays the host's. Once it is freed, the server answers 404.
 * errors  LARIAT_ERR_WRONG_REACTOR.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_http_server_set_router(lariat_http_server *server, lariat_http_router *router);

/* Listens at an endpoint; a server may do so at several.
 *
 * endpoint  as for lariat_reactor_listen; besides, "http://127.0.0.1:8080", which is the same as tcp:// and has port 80
 *           unless it says another.
 * returns   a handle that is good until the server is stopped: for the port, and for the limits of connections; NULL on
 *           failure.
 * errors    as of lariat_reactor_listen; LARIAT_ERR_CLOSED when the server was stopped.
 * thread    the reactor's. */
LARIAT_API lariat_listener *lariat_http_server_listen(lariat_http_server *server, const char *endpoint);

/* Listens at an endpoint as lariat_http_server_listen does, by TLS.
 *
 * endpoint       as for lariat_http_server_listen; it says nothing of TLS itself.
 * configuration  a server's; may be freed afterwards. Where it says nothing of ALPN, "h2" and "http/1.1" are offered, or
 *                "http/1.1" alone where the server's options have no HTTP/2.
 * returns        as lariat_http_server_listen does; NULL on failure.
 * errors         as of lariat_http_server_listen and lariat_reactor_listen_tls.
 * thread         the reactor's. */
LARIAT_API lariat_listener *lariat_http_server_listen_tls(lariat_http_server *server, const char *endpoint,
                                                          const lariat_tls_configuration *configuration);

/* Sets the function that is told of each request that is over, and of each that was refused.
 *
 * fn         may be NULL: nobody is told any more.
 * user_data  may be NULL; passed through.
 * thread     the reactor's. */
LARIAT_API lariat_status lariat_http_server_set_access_log(lariat_http_server *server, lariat_http_access_fn fn,
                                                           void *user_data);

/* The same as lariat_http_server_set_access_log, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the server is freed or somebody else is told, or when this
 * fails.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_http_server_set_access_log_full(lariat_http_server *server, lariat_http_access_fn fn,
                                                                void *user_data, lariat_free_fn free_user_data);

/* Tells how many connections a server has.
 *
 * returns  0 or more; negative: an error.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_http_server_connections(lariat_http_server *server);

/* Stops a server: it listens no more, connections without a request are closed, and requests that are under way are
 * answered, each as the last of its connection.
 *
 * grace_seconds  how long they have: 0 or more, or INFINITY. Those left over are cut off, and told
 *                LARIAT_ERR_TIMED_OUT.
 * returns        a Deferred that fires, with NULL, when all connections are over, from a turn of the loop; cancelling it
 *                changes nothing. NULL on failure.
 * errors         LARIAT_ERR_CLOSED when it was stopped before.
 * thread         the reactor's. */
LARIAT_API lariat_deferred *lariat_http_server_stop(lariat_http_server *server, double grace_seconds);

/* Ends a server at once: its requests are told LARIAT_ERR_CLOSED, from inside this call, and its connections are cut
 * off. The Deferred of lariat_http_server_stop fails with LARIAT_ERR_CLOSED if it has not fired. Its handle is stale
 * from here on. Connections that were taken over live on.
 *
 * thread  the reactor's. It may be called from inside of a handler. */
LARIAT_API lariat_status lariat_http_server_free(lariat_http_server *server);

/* ---- TLS of listeners and connections ---------------------------------------------------------------------------- */

/* Listens as lariat_reactor_listen does, and has each connection begin with TLS. It counts among the listener's
 * connections from the first byte on; its protocol is made, and told, when the handshake is over. Who does not get
 * through is told of by lariat_listener_set_handshake_failed, or else to the log.
 *
 * endpoint        as for lariat_reactor_listen, with any scheme of streams, and without options of TLS.
 * configuration   a server's; may be freed afterwards.
 * protocol        copied.
 * build_protocol  makes the self of each connection's protocol, and may ask what is known of its TLS; may be NULL: self is
 *                 user_data, and free_self is not called.
 * user_data       may be NULL; passed through.
 * returns         as lariat_reactor_listen does.
 * errors          as of lariat_reactor_listen; LARIAT_ERR_INVALID_ARGUMENT for a client's configuration.
 * thread          the reactor's. All callbacks come from turns of the loop.
 * Twisted         IReactorSSL.listenSSL. */
LARIAT_API lariat_listener *lariat_reactor_listen_tls(lariat_reactor *reactor, const char *endpoint,
                                                      const lariat_tls_configuration *configuration,
                                                      const lariat_protocol *protocol,
                                                      lariat_build_protocol_fn build_protocol, void *user_data);

/* The same as lariat_reactor_listen_tls, with user_data owned by the library from here on, as by
 * lariat_reactor_listen_full.
 *
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_listener *lariat_reactor_listen_tls_full(lariat_reactor *reactor, const char *endpoint,
                                                           const lariat_tls_configuration *configuration,
                                                           const lariat_protocol *protocol,
                                                           lariat_build_protocol_fn build_protocol, void *user_data,
                                                           lariat_free_fn free_user_data);

/* The same as lariat_reactor_listen_tls, but queues events instead of calling, as lariat_reactor_listen_event does.
 *
 * endpoint       as for lariat_reactor_listen_tls.
 * configuration  a server's; may be freed afterwards.
 * tag            any number; comes back in the events of all its connections.
 * thread         the reactor's. */
LARIAT_API lariat_listener *lariat_reactor_listen_tls_event(lariat_reactor *reactor, const char *endpoint,
                                                            const lariat_tls_configuration *configuration,
                                                            uint64_t tag);

/* Connects as lariat_reactor_connect does, and begins with TLS: connection_made is called, and the Deferred fires, when
 * the handshake is over. The endpoint's timeout is for all of it.
 *
 * endpoint       as for lariat_reactor_connect, with any scheme of streams, and without options of TLS.
 * configuration  a client's; may be freed afterwards.
 * protocol       copied; its connection_made is called before the Deferred fires.
 * self           what the protocol's functions get, owned by the library from here on if there is a free_self; may be NULL.
 * returns        as lariat_reactor_connect does.
 * errors         as of lariat_reactor_connect; LARIAT_ERR_INVALID_ARGUMENT for a server's configuration, or where nothing
 *                says whose certificate it must be. The Deferred fails also with LARIAT_ERR_CERTIFICATE_EXPIRED, _NAME,
 *                _ISSUER, _INVALID or _PIN, LARIAT_ERR_ALPN, LARIAT_ERR_TLS_ALERT, LARIAT_ERR_TLS, or
 *                LARIAT_ERR_TIMED_OUT; its message names the host and says why.
 * thread         the reactor's. Nothing is called from inside this call.
 * Twisted        IReactorSSL.connectSSL, wrapClientTLS. */
LARIAT_API lariat_deferred *lariat_reactor_connect_tls(lariat_reactor *reactor, const char *endpoint,
                                                       const lariat_tls_configuration *configuration,
                                                       const lariat_protocol *protocol, void *self);

/* The same as lariat_reactor_connect_tls, but queues events instead of calling, as lariat_reactor_connect_event does.
 *
 * endpoint       as for lariat_reactor_connect_tls.
 * configuration  a client's; may be freed afterwards.
 * tag            any number; comes back in the events.
 * returns        as lariat_reactor_connect does.
 * thread         the reactor's. */
LARIAT_API lariat_deferred *lariat_reactor_connect_tls_event(lariat_reactor *reactor, const char *endpoint,
                                                             const lariat_tls_configuration *configuration,
                                                             uint64_t tag);

/* Gives a listener another configuration, as when certificates were renewed: who connects from here on has it, the others
 * keep what they have. One that was without TLS has it from here on.
 *
 * configuration  a server's; may be freed afterwards.
 * errors         LARIAT_ERR_CLOSED once the listener was stopped; LARIAT_ERR_INVALID_ARGUMENT for a client's configuration.
 * thread         the reactor's. */
LARIAT_API lariat_status lariat_listener_set_tls(lariat_listener *listener,
                                                 const lariat_tls_configuration *configuration);

/* Has a function told of each connection that does not get through its TLS handshake, of which nobody else hears. Without
 * one the log is told.
 *
 * fn         may be NULL: the log is told (default). Its failure names the peer and says why: LARIAT_ERR_TIMED_OUT,
 *            LARIAT_ERR_CERTIFICATE_MISSING, LARIAT_ERR_TLS_ALERT and so on.
 * user_data  may be NULL; passed through.
 * errors     LARIAT_ERR_CLOSED once the listener was stopped.
 * thread     the reactor's. */
LARIAT_API lariat_status lariat_listener_set_handshake_failed(lariat_listener *listener, lariat_handshake_failed_fn fn,
                                                              void *user_data);

/* The same as lariat_listener_set_handshake_failed, with user_data owned by the library from here on:
 * free_user_data(user_data) is called exactly once, when the listener is over or has another function, once this one has
 * returned; or before this fails.
 *
 * fn              may be NULL: the log is told.
 * free_user_data  may be NULL.
 * thread          the reactor's. */
LARIAT_API lariat_status lariat_listener_set_handshake_failed_full(lariat_listener *listener,
                                                                   lariat_handshake_failed_fn fn, void *user_data,
                                                                   lariat_free_fn free_user_data);

/* Begins with TLS on a connection that was without, as STARTTLS has it. What was written before goes out before; what is
 * written from here on waits for the end of the handshake. What came and was not handed over to the protocol, or not
 * consumed by one that has set pull, or was given back by lariat_transport_unread, belongs to the handshake.
 *
 * configuration  a server's: the peer is the client; a client's: the peer is the server. May be freed afterwards.
 * server_name    of a client: the name that the server's certificate must be for, unless the configuration has one; may be
 *                NULL: the peer's IP address. Of a server: NULL.
 * returns        a Deferred that fires with the connection when the handshake is over. It fails with the reason of the
 *                connection's end, which it is too, as lariat_reactor_connect_tls does; cancelling it ends the connection.
 *                NULL on failure.
 * errors         LARIAT_ERR_INVALID_STATE when the connection has TLS, is not there yet, or a file waits to be sent;
 *                LARIAT_ERR_CLOSED when it is over, is about to be, or has ended in one direction.
 * thread         the reactor's. Nothing is called from inside this call.
 * Twisted        ITLSTransport.startTLS. */
LARIAT_API lariat_deferred *lariat_transport_start_tls(lariat_transport *transport,
                                                       const lariat_tls_configuration *configuration,
                                                       const char *server_name);

/* Tells the version of a connection's TLS.
 *
 * returns  LARIAT_TLS_1_2 or LARIAT_TLS_1_3; 0: it has none, or its handshake is not over; negative: an error.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_transport_tls_version(lariat_transport *transport);

/* Tells the cipher suite of a connection's TLS as its RFC names it: "TLS_AES_128_GCM_SHA256".
 *
 * text      written, with a NUL behind it: as much as there is room for; may be NULL if capacity is 0.
 * capacity  how many bytes there is room for.
 * length    written: how many bytes the whole text has, without the NUL; may be NULL.
 * errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_INVALID_STATE when it has no TLS, or its
 *           handshake is not over.
 * thread    the reactor's. */
LARIAT_API lariat_status lariat_transport_tls_cipher_suite(lariat_transport *transport, char *text, size_t capacity,
                                                           size_t *length);

/* Tells which protocol is spoken above TLS (ALPN): "h2".
 *
 * text      written, with a NUL behind it: as much as there is room for, "" if nothing was said of it; may be NULL if
 *           capacity is 0.
 * capacity  how many bytes there is room for.
 * length    written: how many bytes the whole text has, without the NUL; may be NULL.
 * errors    as of lariat_transport_tls_cipher_suite.
 * thread    the reactor's.
 * Twisted   INegotiated.negotiatedProtocol. */
LARIAT_API lariat_status lariat_transport_tls_alpn(lariat_transport *transport, char *text, size_t capacity,
                                                   size_t *length);

/* Tells whom a client has asked for (SNI): of a server's connection what the client said, of a client's whose certificate
 * it wanted.
 *
 * text      written, with a NUL behind it: as much as there is room for, "" if nobody was asked for; may be NULL if
 *           capacity is 0.
 * capacity  how many bytes there is room for.
 * length    written: how many bytes the whole text has, without the NUL; may be NULL.
 * errors    as of lariat_transport_tls_cipher_suite.
 * thread    the reactor's. */
LARIAT_API lariat_status lariat_transport_tls_server_name(lariat_transport *transport, char *text, size_t capacity,
                                                          size_t *length);

/* Tells how many certificates the peer has shown.
 *
 * returns  0 or more, 0 also of a client that was not asked; negative: an error.
 * errors   LARIAT_ERR_INVALID_STATE when it has no TLS, or its handshake is not over.
 * thread   the reactor's. */
LARIAT_API int64_t lariat_transport_tls_peer_certificates(lariat_transport *transport);

/* Copies a certificate that the peer has shown, in DER.
 *
 * index     0: the peer's own; from 1 on: those that lead from it to a root.
 * data      written: as many bytes as there is room for; may be NULL if capacity is 0.
 * capacity  how many bytes there is room for.
 * length    written: how many bytes the certificate has; may be NULL.
 * errors    LARIAT_ERR_TOO_LONG when there was not enough room; LARIAT_ERR_NOT_FOUND when the peer has not shown so many;
 *           LARIAT_ERR_INVALID_STATE when it has no TLS, or its handshake is not over.
 * thread    the reactor's.
 * Twisted   ISSLTransport.getPeerCertificate. */
LARIAT_API lariat_status lariat_transport_tls_peer_certificate(lariat_transport *transport, size_t index, uint8_t *data,
                                                               size_t capacity, size_t *length);

/* Tells whether a connection has gone on with an earlier session, and so done without certificates.
 *
 * returns  1 or 0; negative: an error.
 * errors   LARIAT_ERR_INVALID_STATE when it has no TLS, or its handshake is not over.
 * thread   the reactor's. */
LARIAT_API int32_t lariat_transport_tls_is_resumed(lariat_transport *transport);

/* Has new keys used for what is sent from here on, and asks the peer to do the same.
 *
 * errors  LARIAT_ERR_NOT_SUPPORTED with TLS 1.2; LARIAT_ERR_INVALID_STATE when it has no TLS, or its handshake is not over;
 *         LARIAT_ERR_CLOSED when the connection is over.
 * thread  the reactor's. */
LARIAT_API lariat_status lariat_transport_tls_update_keys(lariat_transport *transport);

/* ---- TLS configurations ------------------------------------------------------------------------------------------ */

enum {
    LARIAT_TLS_1_2 = 771, /* TLS 1.2, RFC 5246. */
    LARIAT_TLS_1_3 = 772, /* TLS 1.3, RFC 8446. */
};

enum {
    LARIAT_CLIENT_CERTIFICATES_NONE = 0,     /* Clients are not asked for certificates. */
    LARIAT_CLIENT_CERTIFICATES_OPTIONAL = 1, /* Clients are asked: who has none is let in, who has a bad one is not. */
    LARIAT_CLIENT_CERTIFICATES_REQUIRED = 2, /* Clients are asked: who has none is not let in. */
};

/* A certificate and its private key, each in a file or in memory, as PEM: to be filled by lariat_tls_identity_init and
 * changed. */
typedef struct lariat_tls_identity {
    /* Set by lariat_tls_identity_init. */
    uint32_t struct_size;
    /* 0. */
    uint32_t reserved;
    /* The file with the certificate, and behind it those that lead from it to a root; NULL: it is in memory. */
    const char *certificate_file;
    /* The file with the private key, which is not encrypted; NULL: it is in memory or, without that, where the
     * certificate is. */
    const char *private_key_file;
    /* The certificates in memory, certificate_len bytes; may be NULL. */
    const uint8_t *certificate;
    /* Bytes of certificate. */
    size_t certificate_len;
    /* The private key in memory, private_key_len bytes; may be NULL. */
    const uint8_t *private_key;
    /* Bytes of private_key. */
    size_t private_key_len;
} lariat_tls_identity;

/* How a TLS server is: to be filled by lariat_tls_server_options_init and changed. */
typedef struct lariat_tls_server_options {
    /* Set by lariat_tls_server_options_init. */
    uint32_t struct_size;
    /* Whether clients are asked for certificates: LARIAT_CLIENT_CERTIFICATES_NONE (default), _OPTIONAL or _REQUIRED. */
    int32_t client_certificates;
    /* identity_count certificates, one at least. A client gets the first that has the name that it asks for and a key
     * that it can verify, else the first of all. */
    const lariat_tls_identity *identities;
    /* How many there are. */
    size_t identity_count;
    /* The file with the certificates of those who may have issued clients' certificates, as PEM; NULL: in memory. */
    const char *client_ca_file;
    /* The same in memory, client_ca_len bytes; may be NULL unless clients are asked for certificates. */
    const uint8_t *client_ca;
    /* Bytes of client_ca. */
    size_t client_ca_len;
    /* Protocols that are spoken above TLS, the most wanted first: "h2,http/1.1"; a client that offers only others is
     * refused. NULL: nothing is said of it (default). */
    const char *alpn;
    /* The oldest version: LARIAT_TLS_1_2 (default) or LARIAT_TLS_1_3. */
    int32_t minimum_version;
    /* 1: clients get tickets, by which a later connection goes on with the session without certificates; 0: they do
     * not. Default 1. */
    int32_t session_tickets;
    /* Seconds that a handshake may take: 0 or more, or INFINITY. Default 10. */
    double handshake_seconds;
    /* A file to which the secrets of all connections are appended, for tools that are to read along, such as Wireshark:
     * the format of SSLKEYLOGFILE. NULL: none (default). */
    const char *key_log_file;
} lariat_tls_server_options;

/* How a TLS client is: to be filled by lariat_tls_client_options_init and changed. */
typedef struct lariat_tls_client_options {
    /* Set by lariat_tls_client_options_init. */
    uint32_t struct_size;
    /* The oldest version: LARIAT_TLS_1_2 (default) or LARIAT_TLS_1_3. */
    int32_t minimum_version;
    /* The file with the certificates of those who may have issued the server's, as PEM; NULL: in memory. */
    const char *ca_file;
    /* The same in memory, ca_len bytes; NULL, as is ca_file: those that the system trusts (default). */
    const uint8_t *ca;
    /* Bytes of ca. */
    size_t ca_len;
    /* The name, or IP address, that the server's certificate must be for, and which it is asked for; NULL: the one that
     * is connected to (default). */
    const char *server_name;
    /* Protocols that are spoken above TLS, the most wanted first: "h2,http/1.1". NULL: nothing is said of it (default).
     */
    const char *alpn;
    /* SHA-256 sums of certificates or of public keys (SubjectPublicKeyInfo), with commas between them, in hexadecimal
     * or as sha256/BASE64: the server's certificate must have one of them, beside all else. NULL: none (default). */
    const char *pins;
    /* What is shown to servers that ask for a certificate; NULL: none (default). */
    const lariat_tls_identity *identity;
    /* Seconds that a handshake may take: 0 or more, or INFINITY. Default 10. */
    double handshake_seconds;
    /* A file to which the secrets of all connections are appended, as of lariat_tls_server_options. */
    const char *key_log_file;
    /* Sessions that are remembered, by which a later connection goes on without certificates; 0: none. Default 256. */
    uint32_t sessions;
    /* 1: whoever answers is taken for the server, whatever certificate it shows, so that anybody on the way may read and
     * change all; of pins, one must be the server's even so. Default 0. */
    int32_t insecure_no_verification;
} lariat_tls_client_options;

/* Fills an identity with nothing.
 *
 * identity     written.
 * struct_size  sizeof(lariat_tls_identity).
 * thread       any. */
LARIAT_API lariat_status lariat_tls_identity_init(lariat_tls_identity *identity, uint32_t struct_size);

/* Fills the options of a TLS server with the defaults.
 *
 * options      written.
 * struct_size  sizeof(lariat_tls_server_options).
 * thread       any. */
LARIAT_API lariat_status lariat_tls_server_options_init(lariat_tls_server_options *options, uint32_t struct_size);

/* Fills the options of a TLS client with the defaults.
 *
 * options      written.
 * struct_size  sizeof(lariat_tls_client_options).
 * thread       any. */
LARIAT_API lariat_status lariat_tls_client_options_init(lariat_tls_client_options *options, uint32_t struct_size);

/* Makes the configuration of TLS servers. Files are read now, and not again; for other certificates make another one:
 * see lariat_listener_set_tls.
 *
 * options  copied, with all that it points to.
 * returns  a configuration for any reactor of any thread, to be freed by lariat_tls_configuration_free; NULL on failure.
 * errors   LARIAT_ERR_BAD_CERTIFICATE for what is no certificate or key, or where they do not belong together;
 *          LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED or LARIAT_ERR_OS for a file; the message names it.
 * thread   any.
 * Twisted  CertificateOptions. */
LARIAT_API lariat_tls_configuration *lariat_tls_configuration_new_server(const lariat_tls_server_options *options);

/* Makes the configuration of TLS clients. Files, and the certificates that the system trusts, are read now, and not
 * again. Sessions are remembered by it: connections made with one configuration go on with each other's.
 *
 * options  copied, with all that it points to; may be NULL: the defaults.
 * returns  a configuration for any reactor of any thread, to be freed by lariat_tls_configuration_free; NULL on failure.
 * errors   as of lariat_tls_configuration_new_server; LARIAT_ERR_NOT_FOUND also when the system trusts nobody.
 * thread   any.
 * Twisted  optionsForClientTLS. */
LARIAT_API lariat_tls_configuration *lariat_tls_configuration_new_client(const lariat_tls_client_options *options);

/* Tells which side a configuration is for.
 *
 * returns  1: a server; 0: a client; negative: an error.
 * thread   any. */
LARIAT_API int32_t lariat_tls_configuration_is_server(const lariat_tls_configuration *configuration);

/* Frees a configuration: its handle is stale from here on. Listeners and connections that use it go on.
 *
 * thread  any. */
LARIAT_API lariat_status lariat_tls_configuration_free(lariat_tls_configuration *configuration);

/* Tells how many TLS configurations are alive in the process.
 *
 * returns  0 or more.
 * thread   any. */
LARIAT_API int64_t lariat_tls_configurations_alive(void);

#ifdef __cplusplus
}
#endif

#endif /* LARIAT_H */
