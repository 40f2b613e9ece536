"""Which constant of the scripts decides something, its smallest step, and the table of boundary cases that pins it.

A constant is named by its place: ``NAME``; ``NAME[2]`` and ``NAME[key]`` inside a tuple, set or dict; ``NAME(word)``
for an argument of the call that it is made by; ``Class.field``; ``function(argument)`` for a default;
``@function(argument)`` for an argument of its decorator; ``--flag`` for the default of a flag; and ``function:number``
for a number in its body (``function:number#2`` for its second place).
"""

from __future__ import annotations

from typing import NamedTuple

HEALTH = "monitor/test_boundaries.py"
DIAGNOSIS = "monitor/test_diagnosis_boundaries.py"
ALERTS = "monitor/test_alert_boundaries.py"
API = "api/test_boundaries.py"
PAGING = "api/test_paging_boundaries.py"
CORE = "core/test_boundaries.py"
RETRY = "core/test_retry_boundaries.py"
TRANSFORMS = "transforms/test_boundaries.py"
OPERATE = "operate/test_boundaries.py"
DEPLOY = "deploy/test_boundaries.py"
CHANGE = "change/test_boundaries.py"
CREATE = "change/test_create_boundaries.py"
ACCESS = "access/test_boundaries.py"
COMMAND = "command/test_boundaries.py"


class Pin(NamedTuple):
    """A constant, and the table that pins it.

    Attributes:
        module: below ``scripts/``.
        name: its place, see above.
        step: the smallest step that makes a difference.
        table: the tests, below ``tests/``.
    """

    module: str
    name: str
    step: str
    table: str


# module → file of the tests → (name of the test without ``test_``, places, step)
_TABLES: dict[str, list[tuple[str, str, str, str]]] = {
    "helpers/monitor/health.py": [
        (HEALTH, "the_volume_of_a_run_is_judged_after_15_minutes", "RUN_MAY_GROW_SECONDS", "1"),
        (HEALTH, "a_median_needs_three_runs_before", "MIN_HISTORY_RUNS", "1"),
        (HEALTH, "silence_is_told_from_three_gaps_on", "MIN_HISTORY_RUNS", "1"),
        (HEALTH, "silence_is_three_times_the_usual_gap", "SILENCE_FACTOR", "1"),
        (HEALTH, "a_run_may_lie_an_hour_in_the_future", "MAX_CLOCK_SKEW", "1"),
        (HEALTH, "the_quarantine_grows", "QUARANTINE_GROWTH MIN_QUARANTINED", "1"),
        (HEALTH, "records_per_day_are_those_of_24_hours", "DAY", "1"),
        (HEALTH, "without_a_schedule_a_run_is_fresh_for_24_hours", "_freshness:3600", "1"),
        (HEALTH, "a_scheduled_run_may_be_half_an_hour_late", "_freshness:60", "1"),
        (HEALTH, "a_destination_may_be_busy_for_an_hour", "_stalled:60#2", "1"),
        (HEALTH, "silence_is_at_least_a_day", "_silent:3600", "1"),
        (HEALTH, "a_promise_is_kept_at_its_bound", "_sla_value:3600", "1"),
    ],
    "helpers/monitor/health_config.py": [
        (HEALTH, "without_a_schedule_a_run_is_fresh_for_24_hours", "HealthLimits.max_age_hours", "0.001"),
        (HEALTH, "a_fifth_of_the_records_may_fail", "HealthLimits.threshold", "0.0005"),
        (HEALTH, "shares_are_taken_over_ten_runs", "HealthLimits.last", "1"),
        (HEALTH, "the_volume_may_fall_to_three_tenths", "HealthLimits.min_volume", "0.0005"),
        (HEALTH, "a_destination_may_be_busy_for_an_hour", "HealthLimits.stall_minutes", "0.02"),
        (HEALTH, "a_scheduled_run_may_be_half_an_hour_late", "HealthLimits.grace_minutes", "0.02"),
        (HEALTH, "a_limit_in_a_config_has_its_limits", "MAX_RUNS", "1"),
        (HEALTH, "a_limit_in_a_config_has_its_limits", "_SHARE[minimum] _SHARE[maximum] _POSITIVE[exclusiveMinimum]",
         "0.01"),
        (HEALTH, "the_command_line_may_ask_for_1_to_100_runs", "MAX_RUNS", "1"),
    ],
    "helpers/monitor/request.py": [
        (HEALTH, "an_incident_opens_at_the_second_bad_check", "AlertPolicy.open_after", "1"),
        (HEALTH, "an_incident_clears_at_the_second_good_check", "AlertPolicy.clear_after", "1"),
        (HEALTH, "an_open_incident_is_told_again_after_six_hours", "AlertPolicy.remind_hours", "0.001"),
    ],
    "helpers/monitor/incidents.py": [
        (HEALTH, "an_open_incident_is_told_again_after_six_hours", "events:3600", "1"),
    ],
    "helpers/monitor/source_rules.py": [
        (DIAGNOSIS, "a_run_is_missed_half_an_hour_after_its_time", "OVERDUE_SECONDS", "1"),
        (DIAGNOSIS, "a_fifth_of_what_a_source_reads_may_fail", "MAX_ERROR_SHARE", "0.0005"),
        (DIAGNOSIS, "the_ranks_of_the_faults", "@rate_limited(rank) @paused_source(rank) @paused_nexset(rank) "
         "@paused_destination(rank) @bad_credential(rank) @schedule_never_fires(rank) @never_ran(rank) "
         "@upstream_file_gone(rank) @empty_file(rank) @read_errors(rank)", "1"),
    ],
    "helpers/monitor/member_rules.py": [
        (DIAGNOSIS, "a_destination_may_be_15_minutes_behind", "MAY_STILL_ARRIVE_SECONDS", "1"),
        (DIAGNOSIS, "the_ranks_of_the_faults", "@schema_drift(rank) @record_errors(rank) @transform_raises(rank) "
         "@missing_table(rank) @transform_no_op(rank) @partial_write(rank) @write_fails(rank) @not_delivered(rank)",
         "1"),
    ],
    "helpers/monitor/evidence.py": [
        (DIAGNOSIS, "the_logs_of_the_three_newest_runs_are_read", "LOG_RUNS", "1"),
        (DIAGNOSIS, "of_a_long_log_a_thousand_lines_are_kept", "LINES_KEPT", "1"),
        (DIAGNOSIS, "twenty_samples_are_asked_for_and_an_hour_before_a_run_its_log", "SAMPLES", "1"),
        (DIAGNOSIS, "five_quarantined_records_are_asked_for", "quarantine:5", "1"),
    ],
    "helpers/monitor/compare_runs.py": [(DIAGNOSIS, "five_lines_that_differ_are_shown", "LINES_SHOWN", "1")],
    "helpers/monitor/health_facts.py": [
        (DIAGNOSIS, "with_25_runs_there_may_be_more", "MAX_ROWS_PER_RUN", "1"),
    ],
    "helpers/monitor/follow.py": [
        (DIAGNOSIS, "a_log_that_stays_silent_for_20_seconds_has_ended", "IDLE_SECONDS", "1"),
        (DIAGNOSIS, "a_log_is_read_every_two_seconds_until_the_deadline", "POLL_SECONDS", "0.1"),
    ],
    "helpers/monitor/alert_text.py": [
        (ALERTS, "a_line_has_350_characters", "LINE_MAX", "1"),
        (ALERTS, "a_section_has_3000_characters", "SECTION_MAX", "1"),
        (ALERTS, "a_message_has_50_blocks", "BLOCKS_MAX", "1"),
        (ALERTS, "the_plain_text_has_3500_characters", "TEXT_MAX", "1"),
        (ALERTS, "a_teams_message_has_60_lines", "TEAMS_MAX", "1"),
    ],
    "helpers/monitor/alerts.py": [
        (ALERTS, "an_alert_is_tried_three_times", "TRIES RESPONSE_SECONDS", "1"),
        (ALERTS, "only_some_answers_are_worth_another_try", "deliver:200 deliver:300 deliver:500 deliver:429", "1"),
    ],
    "helpers/api/transport.py": [
        (API, "a_read_is_tried_four_times", "MAX_ATTEMPTS", "1"),
        (API, "a_read_is_tried_four_times", "BACKOFF(base)", "0.1"),
        (API, "a_wait_is_at_most_eight_seconds", "BACKOFF(cap)", "0.1"),
        (API, "a_500_is_tried_twice", "__call__:2 __call__:500", "1"),
        (API, "a_server_may_ask_for_a_minute", "LONGEST_WAIT", "1"),
        (PAGING, "a_total_has_at_most_12_digits", "MAX_TOTAL_DIGITS", "1"),
        (API, "statuses_below_300_are_answers", "_read_response:300", "1"),
    ],
    "helpers/api/session.py": [
        (API, "a_server_may_be_silent_for_30_seconds", "READ_TIMEOUT", "1"),
        (API, "an_answer_may_take_five_minutes", "RESPONSE_TIMEOUT", "1"),
        (API, "a_token_is_renewed_a_minute_before_its_end", "TOKEN_MARGIN", "1"),
        (API, "a_clock_that_is_two_seconds_off_is_right", "MIN_CLOCK_SKEW", "0.05"),
    ],
    "helpers/api/writes.py": [
        (API, "a_create_is_not_sent_again_after_a_504", "GATEWAY_TIMEOUT", "1"),
        (API, "a_lost_create_is_looked_for_15_or_90_seconds", "RECONCILE_SECONDS LATE_CREATE_SECONDS", "0.5"),
        (API, "the_looks_for_a_lost_create_grow_apart_and_are_reported_every_ten_seconds",
         "FIRST_PAUSE LONGEST_PAUSE", "0.1"),
        (API, "the_looks_for_a_lost_create_grow_apart_and_are_reported_every_ten_seconds", "REPORT_SECONDS", "3"),
    ],
    "helpers/api/runs.py": [
        (API, "a_run_is_of_2001_to_2096", "FIRST_RUN LAST_RUN", "1"),
        (API, "the_rows_of_runs_that_are_asked_for", "PAGE", "1"),
        (DIAGNOSIS, "with_25_runs_there_may_be_more", "PAGE", "4"),
    ],
    "helpers/api/flows.py": [(API, "the_rows_of_runs_that_are_asked_for", "run_rows(size)", "1")],
    "helpers/api/probes.py": [
        (API, "a_probe_fails_by_what_the_system_says", "probe:400 probe:500 probe:429", "1"),
    ],
    "helpers/api/paging.py": [
        (PAGING, "a_page_has_a_hundred_rows_or_fifty", "PER_PAGE SMALL_PER_PAGE", "1"),
        (PAGING, "a_list_without_end_is_left_after_10_000_pages_or_1_000_without_a_total",
         "MAX_PAGES MAX_UNCOUNTED_PAGES", "1"),
        (PAGING, "a_list_that_never_stands_still_is_read_four_times", "MAX_PASSES", "1"),
    ],
    "helpers/api/similar_names.py": [
        (PAGING, "300_names_are_read_for_a_hint_and_60_characters_of_each_shown", "NAMES_READ NAME_LENGTH", "1"),
    ],
    "helpers/api/resources.py": [
        (PAGING, "five_rows_are_enough_to_count", "count:5#1 count:5#2", "1"),
    ],
    "helpers/api/logs.py": [
        (API, "a_page_of_a_log_has_500_lines_or_100", "PAGE SMALL_PAGE ANY_RUN", "1"),
        (API, "a_log_has_at_most_10_000_pages", "MAX_PAGES", "1"),
        (DIAGNOSIS, "twenty_samples_are_asked_for_and_an_hour_before_a_run_its_log", "LOG_LEAD_MS", "1"),
    ],
    "helpers/core/limits.py": [
        (CORE, "so_many_requests_go_at_once_and_the_next_one_waits",
         "DEFAULT_RATES[light] DEFAULT_RATES[medium] DEFAULT_RATES[high] SHARE", "0.01"),
        (CORE, "of_the_limit_that_the_server_tells_three_quarters_are_used", "SHARE", "0.01"),
        (CORE, "a_throttled_command_sends_one_request_a_second", "LASTING_429_RATE", "0.1"),
        (CORE, "polls_begin_quickly_and_grow_to_five_seconds", "poll(first) poll(longest) poll:1.5", "0.01"),
    ],
    "helpers/core/times.py": [
        (CORE, "an_age_is_so_many_seconds", "_UNITS[s] _UNITS[m] _UNITS[h] _UNITS[d] _UNITS[w]", "1"),
        (CORE, "an_age_is_at_most_3650_days", "_MAX_AGE", "1"),
        (CORE, "numbers_are_seconds_or_milliseconds_of_2001_to_2096", "_FIRST _LAST", "1"),
        (CORE, "what_is_no_moment_has_no_text", "iso:10**14", "1"),
        (CORE, "an_age_is_told_in_the_unit_that_fits", "age_text:120 age_text:7200 age_text:2*86400", "1"),
    ],
    "helpers/core/nearest.py": [
        (CORE, "three_words_that_share_six_tenths_of_their_letters", "MAX_SUGGESTIONS", "1"),
        (CORE, "three_words_that_share_six_tenths_of_their_letters", "MIN_SIMILARITY", "0.01"),
    ],
    "helpers/core/redact.py": [
        (CORE, "an_excerpt_has_200_characters", "excerpt(length)", "1"),
        (CORE, "an_object_is_shown_100_levels_deep", "MAX_DEPTH", "1"),
    ],
    "helpers/core/known_secrets.py": [
        (CORE, "a_known_secret_has_at_least_six_characters", "SHORTEST_SECRET", "1"),
        (CORE, "a_known_secret_of_eight_characters_is_found_inside_a_word", "LONGEST_WORD", "1"),
        (CORE, "a_part_of_a_known_key_or_url_has_16_characters", "SHORTEST_PART", "1"),
    ],
    "helpers/core/secret_names.py": [
        (CORE, "the_last_128_characters_of_a_name_are_judged", "LONGEST_NAME", "1"),
    ],
    "helpers/core/secret_text.py": [(CORE, "a_user_of_16_characters_in_a_url_is_a_token", "SHORTEST_LOGIN", "1")],
    "retry_helpers.py": [
        (RETRY, "only_these_statuses_are_repeated", "RETRYABLE_STATUSES[0] RETRYABLE_STATUSES[1] "
         "RETRYABLE_STATUSES[2] RETRYABLE_STATUSES[3]", "1"),
        (RETRY, "five_tries_with_waits_that_double", "_retrying(max_attempts)", "1"),
        (RETRY, "five_tries_with_waits_that_double", "_retrying(base_delay)", "0.1"),
        (RETRY, "a_wait_is_at_most_a_minute", "_retrying(max_delay)", "1"),
        (RETRY, "a_server_may_ask_for_a_minute", "_retrying(max_delay)", "1"),
        (RETRY, "a_simple_retry_is_three_tries", "simple_retry(attempts)", "1"),
        (RETRY, "a_simple_retry_is_three_tries", "simple_retry(delay)", "0.1"),
        (RETRY, "a_simple_retry_waits_at_most_eight_times_its_delay", "simple_retry:8", "1"),
        (RETRY, "a_wait_strategy_of_its_own_begins_at_a_second_and_ends_at_a_minute",
         "wait_as_requested.__init__(base) wait_as_requested.__init__(cap)", "0.1"),
        (RETRY, "a_breaker_opens_at_the_fifth_failure_for_a_minute",
         "CircuitBreaker.__init__(failure_threshold) CircuitBreaker.__init__(timeout) "
         "circuit_breaker(failure_threshold) circuit_breaker(timeout)", "1"),
        (RETRY, "a_breaker_counts_429_and_what_is_the_servers_fault", "_failed:429 _failed:500", "1"),
        (RETRY, "polling_slows_down_to_15_seconds_and_ends_after_five_minutes", "poll_until(timeout) "
         "poll_until(interval) poll_until(max_interval) poll_until:1.5", "0.1"),
    ],
    "helpers/transforms/request.py": [
        (TRANSFORMS, "five_samples_prove_something", "MIN_SAMPLES", "1"),
        (TRANSFORMS, "a_local_trial_needs_five_samples", "MIN_SAMPLES", "1"),
        (TRANSFORMS, "the_defaults_of_a_proof", "MIN_SAMPLES PROOF_SECONDS", "1"),
    ],
    "helpers/transforms/proof.py": [
        (TRANSFORMS, "a_trace_has_three_characters", "MIN_TRACE_LENGTH", "1"),
        (TRANSFORMS, "a_number_has_six_digits", "MIN_DIGITS", "1"),
        (TRANSFORMS, "a_value_of_another_sample_has_six_characters", "MIN_DIGITS", "1"),
    ],
    "helpers/transforms/proof_steps.py": [(TRANSFORMS, "thirty_samples_are_asked_for", "PROOF_SAMPLES", "1")],
    "helpers/transforms/quality.py": [
        (TRANSFORMS, "a_date_may_lie_five_minutes_ahead", "MAX_CLOCK_SKEW", "1"),
        (TRANSFORMS, "an_hour_is_3600_seconds", "_max_age:3600", "1"),
        (TRANSFORMS, "a_number_is_a_date_of_2001_to_2096", "EPOCH[0] EPOCH[1] _moment:10**3 _moment:10**9", "1"),
        (TRANSFORMS, "five_examples_are_kept", "EXAMPLES", "1"),
    ],
    "helpers/transforms/worker.py": [
        (TRANSFORMS, "the_output_has_64_megabytes", "MAX_OUTPUT", "1"),
        (TRANSFORMS, "an_error_has_2000_characters", "MAX_ERROR_LENGTH", "1"),
    ],
    "helpers/transforms/jail.py": [
        (TRANSFORMS, "what_a_script_may_use", "CPU_SECONDS MEMORY_BYTES OPEN_FILES PROCESSES NOBODY", "1"),
    ],
    "helpers/transforms/script_process.py": [(TRANSFORMS, "a_script_has_30_seconds", "SCRIPT_SECONDS", "1")],
    "helpers/transforms/trial.py": [
        (TRANSFORMS, "a_trial_shows_20_records", "DEFAULT_LIMIT", "1"),
        (TRANSFORMS, "a_trial_asks_for_a_hundred_samples", "LIVE_SAMPLES", "1"),
    ],
    "manage_transforms.py": [(TRANSFORMS, "a_name_has_1_to_255_characters", "NAME_LENGTH", "1")],
    "validate_nexset.py": [(TRANSFORMS, "the_defaults_of_a_validation", "MIN_SAMPLES --count", "1")],
    "helpers/operate/wait.py": [
        (OPERATE, "a_run_with_errors_is_over_after_three_equal_readings", "QUIET_POLLS wait_for_run:20", "1"),
        (OPERATE, "a_delivered_run_is_over_after_one", "wait_for_run:1#2", "1"),
        (OPERATE, "the_readings_grow_apart_to_ten_seconds", "FIRST_PAUSE LONGEST_PAUSE", "0.1"),
    ],
    "helpers/operate/status.py": [
        (OPERATE, "with_25_runs_there_may_be_more", "FULL_PAGE_RUNS", "1"),
        (OPERATE, "a_status_asks_for_20_rows", "status:20", "1"),
    ],
    "operate_flow.py": [
        (OPERATE, "the_defaults_of_a_wait_and_of_metrics", "--wait-timeout --days", "1"),
        (OPERATE, "a_number_of_days_or_runs_has_its_limits", "build_request:1#1 build_request:366", "1"),
    ],
    "get_resource_logs.py": [
        (OPERATE, "a_number_of_days_or_runs_has_its_limits", "build_request:100", "1"),
    ],
    "helpers/deploy/delivery.py": [
        (DEPLOY, "a_delivery_has_ended_at_the_second_equal_reading", "STEADY_POLLS", "1"),
    ],
    "helpers/deploy/model.py": [
        (DEPLOY, "one_record_is_a_delivery", "Verify.min_records", "1"),
        (DEPLOY, "no_error_is_allowed", "Verify.max_errors", "1"),
        (DEPLOY, "a_name_has_1_to_255_characters", "Name(min_length) Name(max_length)", "1"),
        (DEPLOY, "an_id_is_above_0", "Id(gt)", "1"),
        (DEPLOY, "a_description_has_255_characters", "Text(max_length)", "1"),
    ],
    "helpers/deploy/checks.py": [(DEPLOY, "ten_samples_are_asked_for", "SAMPLE_COUNT", "1")],
    "helpers/change/creating.py": [
        (CREATE, "two_of_one_name_are_watched_for_two_seconds", "RACE_SECONDS", "0.1"),
        (CREATE, "the_clocks_of_server_and_client_may_be_5_seconds_apart", "CLOCK_TOLERANCE", "0.5"),
    ],
    "helpers/change/journal_file.py": [(CREATE, "a_journal_keeps_64_kib_free_for_itself", "RESERVE_BYTES", "1")],
    "helpers/command/output.py": [(CREATE, "64_kib_must_be_free_for_a_result", "SPACE_FOR_RESULT", "1")],
    "helpers/core/marks.py": [(CREATE, "a_mark_names_the_change_and_the_step", "STEP_DIGITS", "1")],
    "deploy_flow.py": [(DEPLOY, "a_first_run_is_waited_for_five_minutes", "--verify-timeout", "1")],
    "helpers/change/undo.py": [(CHANGE, "after_the_deadline_there_are_two_minutes_to_undo", "UNDO_SECONDS", "1")],
    "helpers/change/journal.py": [
        (CHANGE, "only_journals_of_this_version_are_read", "FORMAT", "1"),
        (CREATE, "a_mark_names_the_change_and_the_step", "CHANGE_ID_BYTES", "1"),
        (CREATE, "a_step_is_named_by_16_digits_of_its_digest", "KEY_DIGITS", "1"),
    ],
    "helpers/access/plan.py": [(ACCESS, "the_rules_of_a_hundred_resources_are_read_again", "REREAD_LIMIT", "1")],
    "helpers/access/declaration.py": [
        (ACCESS, "a_declared_id_is_above_0_and_a_text_not_empty", "_ID[exclusiveMinimum] _TEXT[minLength]", "1"),
    ],
    "helpers/command/parser.py": [
        (COMMAND, "a_common_flag_has_its_limits", "seconds:7*86400 _rate:1000 _workers:16", "1"),
        (COMMAND, "an_age_is_at_most_ten_years", "hours:87600", "1"),
        (COMMAND, "the_defaults_of_the_flags", "--workers", "1"),
    ],
    "list_resources.py": [(COMMAND, "the_defaults_of_the_flags", "--limit", "1")],
}  # fmt: skip

PINS = [
    Pin(module, name, step, f"tests/{file}::test_{test}")
    for module, entries in _TABLES.items()
    for file, test, names, step in entries
    for name in names.split()
]

COUNT = "a count that begins at 0"
_ABI = ("NAMESPACES PR_SET_PDEATHSIG PR_SET_NO_NEW_PRIVS MS_BIND MS_REC MS_PRIVATE MNT_DETACH MOUNT_SETATTR AT_FDCWD "
        "AT_RECURSIVE READ_ONLY NO_SETUID NO_DEVICES")  # fmt: skip
KERNEL = "a number of the Linux kernel's interface: it is not ours to choose"
EXEMPT = {
    "helpers/change/journal.py Entry.at": "no time yet",
    "helpers/change/journal.py Entry.since": "no time yet",
    "helpers/monitor/health.py HealthFacts.source_run": "0 is the sign that there is none",
    "helpers/monitor/health.py HealthFacts.unreadable": COUNT,
    "helpers/transforms/quality.py QualityRule.checked": COUNT,
    "helpers/transforms/quality.py QualityRule.failed": COUNT,
    "helpers/__init__.py MINIMUM_PYTHON[0]": "shows only on an older Python, which the tests do not have",
    "helpers/__init__.py MINIMUM_PYTHON[1]": "shows only on an older Python, which the tests do not have",
    "helpers/api/session.py CHUNK": "how an answer is cut into reads; no size of them changes what is read",
    "helpers/api/runs.py member_runs(workers)": "how many reads go side by side; the rows are the same",
    "helpers/api/paging.py Pages.__init__(workers)": "how many reads go side by side; the rows are the same",
    **dict.fromkeys((f"helpers/api/paging.py _Pass.{name}" for name in ("malformed", "pages", "empty")), COUNT),
    "helpers/core/times.py Moment.age": "a fixed time has none",
    "helpers/core/redact.py _looking_in_short_text(maxsize)": "how many texts are kept; the result is the same",
    "helpers/core/secret_names.py @is_secret_key(maxsize)": "how many names are kept; the result is the same",
    "helpers/core/redact.py LONGEST_CACHED": "which texts are kept after they were redacted; the result is the same",
    "helpers/command/render.py WIDTH": "how wide a table in a file is; what it says is the same",
    "helpers/monitor/alert_text.py TITLE_MAX": "no title is so long: it holds three counts and their names",
    "helpers/transforms/jail.py NOT_ISOLATED": "the first line of standard error says it too, and that line counts",
    **{f"helpers/transforms/script_process.py PR_{verb}_DUMPABLE": KERNEL for verb in ("GET", "SET")},
    **{f"helpers/transforms/jail.py {name}": KERNEL for name in _ABI.split()},
}
