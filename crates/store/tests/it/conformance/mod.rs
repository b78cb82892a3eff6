//! The contract of [`meishi_store::Store`], one test a promise.
//!
//! A test is an `async fn` of a store that nobody else uses. To add one: write it in the file of
//! its noun and name it below; the compiler warns of a test that is named nowhere. `tenant.rs`
//! and `fields.rs` are the words that tests are made of, `replay.rs` holds every account to its
//! events after each test, `random_changes.rs` makes up what nobody thought of, `damage.rs` is what
//! an examination must find.

pub(crate) mod damage;
pub(crate) mod fields;
pub(crate) mod old;
pub(crate) mod random_changes;
pub(crate) mod replay;
pub(crate) mod tenant;
pub(crate) mod values;

pub(crate) mod accounts;
pub(crate) mod apply;
pub(crate) mod attributes;
pub(crate) mod closing;
pub(crate) mod concurrency;
pub(crate) mod contact_creation;
pub(crate) mod contact_deletion;
pub(crate) mod contact_update;
pub(crate) mod deliveries;
pub(crate) mod erasure;
pub(crate) mod events;
pub(crate) mod history;
pub(crate) mod idempotency;
pub(crate) mod identities;
pub(crate) mod inboxes;
pub(crate) mod keys;
pub(crate) mod labels;
pub(crate) mod pages;
pub(crate) mod preconditions;
pub(crate) mod reads;
pub(crate) mod relabelling;
pub(crate) mod retention;
pub(crate) mod reverting;
pub(crate) mod snapshot;
pub(crate) mod upserts;
pub(crate) mod webhooks;

/// Runs every test of the contract on a store. `$make_store` is a function beside the invocation:
/// it answers a future of a store that is empty, and of whatever keeps that store's data alive.
macro_rules! store_conformance {
    ($make_store:ident) => {
        $crate::conformance::conformance_tests! {
            // After each of these, every account must be as its events tell.
            $make_store, $crate::conformance::finish;
            accounts {
                a_new_database_holds_no_account,
                a_database_says_who_it_is_and_stays_it,
                an_account_is_made_with_its_channel_and_its_key,
                accounts_are_listed_by_id,
                accounts_of_one_seed_and_second_have_ids_of_their_own,
                the_first_account_is_made_only_while_there_is_none,
                an_account_with_a_key_that_is_taken_is_not_made,
                counts_are_exact_after_every_change,
                an_unknown_account_holds_nothing_and_takes_nothing,
            }
            contact_creation {
                a_contact_of_which_nothing_is_known_has_the_defaults,
                every_field_that_is_given_is_kept,
                a_name_is_derived_from_given_and_family_name,
                ids_count_from_one_in_each_account,
                a_refused_creation_leaves_nothing_behind_and_uses_no_id,
                a_given_source_id_is_the_contacts_address_in_the_channel,
                a_source_id_that_is_not_given_is_a_uuid_of_the_time_the_seed_and_the_position,
                an_unknown_channel_is_not_found_and_nothing_is_written,
                all_that_is_taken_is_told_at_once_and_in_order,
                the_faults_of_fields_come_before_a_missing_channel,
                what_another_account_holds_is_not_taken,
                a_source_id_is_unique_in_its_channel_only,
                identifiers_that_differ_by_case_or_blanks_are_two,
                both_attribute_maps_together_have_a_limit,
                only_contacts_with_an_address_count_as_resolved,
            }
            contact_update {
                an_update_sets_what_it_names_and_keeps_the_rest,
                an_update_can_empty_what_may_be_empty,
                a_merge_patch_goes_deep_and_clear_empties_the_map,
                an_update_that_changes_nothing_writes_nothing,
                a_patch_with_faults_changes_nothing_and_its_faults_are_told_with_the_stores_own,
                an_event_tells_what_each_field_and_member_was_and_is,
                every_update_raises_the_version_by_one,
                an_address_that_is_replaced_is_free_and_the_new_one_taken,
                an_address_can_go_from_one_contact_to_another_in_one_call,
                a_contacts_own_addresses_are_no_conflict,
                what_others_hold_is_told_all_at_once_and_the_contact_stays,
                attributes_that_grow_beyond_their_limit_are_refused_whole,
                a_name_is_derived_anew_with_the_stored_part_standing_in,
                a_contact_becomes_resolved_and_unresolved_again,
                a_contact_that_is_not_the_accounts_is_not_found,
                contacts_of_the_same_number_in_two_accounts_are_two,
            }
            contact_deletion {
                a_deleted_contact_is_gone_from_every_read,
                its_addresses_and_its_source_id_are_free_again,
                an_id_is_never_given_twice,
                its_labels_do_not_pass_to_the_next_contact_but_stay_in_the_account,
                the_event_holds_the_whole_card_as_it_last_was,
                its_channel_has_no_contact_left,
                what_is_gone_cannot_be_changed_or_deleted_again,
                another_accounts_contact_is_not_found_and_stays,
                the_contact_of_the_same_number_elsewhere_keeps_everything,
            }
            identities {
                owners_come_in_the_order_of_the_question_with_none_where_there_is_none,
                an_address_is_of_one_kind,
                an_address_is_looked_up_as_it_is_stored,
                an_address_that_cannot_be_stored_is_nobodys,
                a_contact_can_give_up_one_address_and_keep_the_others,
                no_account_sees_anothers_addresses,
            }
            labels {
                labels_are_sorted_and_without_repeats,
                labels_are_replaced_as_a_whole,
                a_label_is_made_when_it_is_first_assigned_and_only_then,
                the_event_tells_all_labels_before_and_after,
                setting_the_same_labels_writes_nothing,
                labels_raise_the_version_and_touch_nothing_else,
                a_contact_has_at_most_so_many_labels,
                labels_of_one_contact_are_not_anothers,
                a_contact_that_is_not_the_accounts_is_not_found,
            }
            relabelling {
                a_label_is_made_and_changed,
                a_title_is_one_labels,
                an_account_has_so_many_labels,
                a_renamed_label_is_shown_by_all_contacts_which_keep_their_versions,
                a_deleted_label_is_taken_from_all_contacts_which_keep_their_versions,
                contacts_that_change_in_the_same_call_keep_their_other_labels,
                titles_go_round_in_one_call,
                labels_are_given_back_by_what_they_are_called_now,
                a_contact_comes_back_with_the_labels_that_are_there,
                labels_of_another_account_are_not_found,
            }
            attributes {
                an_attribute_is_defined_and_changed,
                a_key_is_one_definitions_and_stays_it,
                an_account_has_so_many_definitions,
                what_does_not_fit_is_refused_where_it_is_enforced,
                what_is_there_never_makes_a_write_fail,
                what_is_undone_has_to_fit,
                a_definition_holds_from_its_change_on,
                definitions_of_another_account_are_not_found,
            }
            inboxes {
                a_channel_gets_the_next_id,
                a_chosen_id_is_kept_and_the_next_one_comes_after_the_highest,
                a_chosen_id_that_is_taken_is_refused,
                the_id_of_a_deleted_channel_is_not_given_again,
                an_account_has_at_most_so_many_channels,
                a_channel_can_be_renamed,
                an_update_that_changes_nothing_writes_nothing,
                a_channel_without_contacts_can_be_deleted,
                a_channel_with_contacts_is_kept_and_says_how_many,
                force_removes_the_links_and_never_a_contact,
                a_source_id_is_free_again_when_its_channel_came_back,
                a_channel_that_is_not_the_accounts_is_not_found,
                channels_of_the_same_number_in_two_accounts_are_two,
            }
            keys {
                a_key_is_found_by_its_public_half_and_by_its_secret,
                an_unknown_half_or_secret_finds_no_key,
                a_key_is_made_with_what_it_was_given,
                a_key_ends_when_it_says,
                an_update_changes_name_role_and_end_and_tells_of_each,
                an_update_that_changes_nothing_writes_nothing,
                both_secrets_open_a_rotated_key_until_the_overlap_ends,
                without_an_overlap_the_old_secret_ends_at_once,
                a_second_rotation_ends_the_first_secret,
                a_revoked_key_is_gone_with_all_its_secrets,
                a_use_is_noted_never_goes_back_and_is_no_event,
                an_account_has_at_most_so_many_keys,
                a_public_half_that_is_taken_fails_the_call_and_writes_nothing,
                no_event_and_no_outcome_holds_a_secret,
                a_key_that_is_not_the_accounts_is_not_found,
                keys_of_the_same_number_in_two_accounts_are_two,
            }
            events {
                an_event_says_who_when_and_by_which_request,
                events_are_numbered_densely_whatever_is_refused,
                events_come_in_the_order_of_the_changes,
                events_are_read_after_a_number_and_up_to_a_limit,
                one_read_returns_at_most_so_many_events,
                no_account_sees_anothers_events,
                from_the_events_alone_follows_exactly_what_the_tables_hold,
            }
            apply {
                changes_see_those_before_them,
                one_failure_of_an_atomic_call_undoes_all_of_it,
                of_several_failures_an_atomic_call_tells_the_first,
                without_atomic_the_others_stand,
                more_changes_than_are_allowed_are_refused_whole,
                a_call_whose_outcome_would_be_too_large_does_nothing,
                the_queue_holds_so_many_changes_and_refuses_more,
                a_refusal_names_no_contact_that_was_undone_with_it,
                a_call_without_changes_does_nothing,
                what_was_answered_is_what_is_read,
            }
            preconditions {
                a_change_of_another_version_is_stale_and_says_which_it_is,
                a_change_of_the_right_version_is_made,
                one_of_several_versions_is_enough_and_none_is_never,
                a_missing_contact_comes_before_a_version_and_a_version_before_faults,
                the_second_change_of_a_call_meets_the_version_of_the_first,
                what_has_no_version_asks_for_none,
            }
            idempotency {
                a_repeat_answers_the_same_and_writes_nothing,
                a_repeat_answers_what_was_then_although_it_changed_since,
                another_request_under_the_key_is_a_mismatch,
                a_refusal_is_kept_too,
                every_kind_of_refusal_reads_back_the_same,
                callers_routes_and_accounts_have_keys_of_their_own,
                a_call_that_does_not_get_through_leaves_its_key_free,
                a_repeated_key_creation_makes_no_second_key_and_tells_no_secret,
                a_repeat_needs_no_version_and_no_contact_any_more,
            }
            reads {
                a_contact_is_read_with_its_channels_only_when_asked,
                labels_are_read_however_a_contact_is_read,
                contacts_come_in_the_order_of_the_question_and_missing_ones_are_left_out,
                one_read_returns_at_most_so_many_contacts,
                an_id_of_another_account_is_not_found_by_any_read,
                contacts_are_found_however_they_lie_among_those_of_others,
                what_was_written_is_read_at_once_by_everybody,
            }
            pages {
                a_page_shows_every_change_of_its_contacts_at_once,
                a_page_shows_other_names_at_once,
                a_call_that_fails_changes_no_page,
                pages_among_writers_are_each_of_one_moment_and_never_go_back,
            }
            snapshot {
                an_empty_account_has_an_empty_snapshot,
                contacts_come_by_id_with_their_labels,
                a_snapshot_shows_its_moment_whatever_is_written_while_it_is_read,
                a_snapshot_that_nobody_reads_to_its_end_holds_nothing_up,
            }
            history {
                a_history_holds_every_event_of_the_contact_and_no_other,
                a_history_holds_what_one_call_did_and_nothing_that_was_refused,
                a_history_is_read_page_by_page,
                one_read_of_a_history_returns_at_most_so_many_events,
                a_contact_that_never_was_has_no_history,
                a_history_that_is_asked_for_from_another_event_shows_nothing_of_it,
                a_history_says_where_retention_cut_it,
                heads_are_the_last_events_of_those_accounts_that_there_are,
            }
            reverting {
                every_field_can_be_given_back,
                one_field_or_attribute_is_given_back_and_the_others_stay,
                what_was_changed_since_stands_in_the_way_and_is_named,
                what_is_as_it_was_is_not_undone_again,
                labels_are_given_back_as_a_whole,
                an_address_that_another_took_is_not_given_back,
                attributes_cannot_grow_beyond_their_limit_by_undoing,
                a_deletion_is_undone_with_all_that_went,
                a_contact_comes_back_without_the_links_whose_channels_are_gone,
                what_was_taken_meanwhile_keeps_a_contact_from_coming_back,
                only_the_last_deletion_is_undone,
                what_is_no_change_of_the_contact_cannot_be_undone,
                undoing_asks_for_the_version_too,
                a_call_can_undo_what_it_did_itself,
                a_call_that_fails_after_undoing_leaves_nothing,
            }
            upserts {
                a_contact_that_is_not_there_is_made_with_its_link,
                identifier_comes_before_email_and_email_before_phone,
                without_an_address_there_is_always_a_new_contact,
                it_says_what_changed_what_did_not_and_what_was_not_taken,
                addresses_of_two_contacts_are_refused_and_both_are_named,
                what_a_creation_lacks_is_no_fault_of_an_update,
                a_version_that_is_expected_is_that_of_the_contact_that_is_found,
                it_finds_what_changes_before_it_in_the_call_left,
                upserts_of_one_address_at_once_make_one_contact,
            }
            erasure {
                a_contact_goes_with_all_that_is_known_of_it,
                a_deleted_contact_can_be_erased_and_once_is_enough,
                an_erasure_asks_for_the_version_too,
                what_is_kept_of_others_stays,
                what_a_call_did_before_it_erased_is_erased_too,
                an_erasure_in_a_call_that_fails_did_not_happen,
                erasures_among_writers_leave_nothing_of_the_contact,
            }
            webhooks {
                a_webhook_is_made_with_what_it_was_given,
                an_update_changes_what_it_names_and_tells_of_each,
                a_rotated_webhook_signs_with_both_secrets,
                a_deleted_webhook_is_gone_and_its_id_is_not_given_again,
                an_account_has_at_most_so_many_webhooks,
                no_event_and_no_outcome_holds_a_webhooks_secret,
                webhooks_of_a_call_that_fails_are_not_there,
            }
            deliveries {
                a_lease_is_exclusive_until_it_ends,
                a_webhook_without_anything_to_do_is_not_leased,
                a_lease_that_is_given_back_comes_again_when_something_is_due,
                what_a_server_left_behind_is_found_by_the_next,
                only_whoever_looked_at_the_events_before_keeps_what_it_saw,
                deliveries_of_one_contact_go_out_one_after_the_other,
                the_log_of_attempts_keeps_the_last_ones,
                an_attempt_tells_how_the_webhook_is,
                a_webhook_that_works_again_is_told_at_once,
                an_accounts_webhooks_have_their_share_of_the_turns_and_come_round,
                failing_webhooks_have_room_of_their_own,
                all_that_is_pending_begins_anew_step_by_step,
                a_webhook_with_a_new_url_begins_anew,
                deliveries_can_be_made_once_more,
                what_is_made_once_more_keeps_its_contacts_order,
                a_range_that_is_too_long_says_where_it_goes_on,
                what_was_erased_is_not_sent_any_more,
                a_deleted_webhook_is_told_nothing_and_goes_with_time,
                servers_that_work_at_once_deliver_each_event_once,
                bookkeeping_and_changes_do_not_wait_for_each_other_for_ever,
            }
            retention {
                the_oldest_events_go_and_the_rest_has_no_gap,
                many_events_go_some_thousands_at_a_time,
                no_event_goes_that_a_webhook_has_yet_to_look_at,
                what_retention_took_is_not_known_any_more,
                a_key_can_be_used_anew_when_its_outcome_expired,
                settled_deliveries_go_when_they_are_old,
            }
            concurrency {
                patches_of_different_attributes_lose_none,
                of_creations_with_one_address_one_succeeds_and_the_others_learn_which,
                of_first_accounts_exactly_one_is_made,
                of_repeats_of_one_call_one_does_the_work,
                of_changes_of_one_version_one_succeeds,
                a_label_that_many_assign_first_is_made_once,
                of_channels_with_one_chosen_id_one_is_made,
                a_contact_is_deleted_once,
                accounts_that_write_at_once_do_not_mix,
                snapshots_among_writers_are_each_of_one_moment,
            }
        }
        $crate::conformance::conformance_tests! {
            // These leave nothing that could be read.
            $make_store, $crate::conformance::closed;
            closing {
                every_call_after_close_fails_as_unavailable,
                closing_twice_is_closing_once,
                what_was_asked_before_close_is_done,
            }
        }
    };
}

/// One `#[tokio::test]` for each test that is named.
macro_rules! conformance_tests {
    ($make_store:ident, $finish:path; $( $noun:ident { $( $test:ident, )* } )*) => {
        $(
            mod $noun {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $test() {
                        let (store, _data) = super::$make_store().await;
                        $crate::conformance::$noun::$test(std::sync::Arc::clone(&store)).await;
                        $finish(store).await;
                    }
                )*
            }
        )*
    };
}

pub(crate) use {conformance_tests, store_conformance};

/// The end of a test: nothing but what the events tell, and nothing that an examination finds.
pub(crate) async fn finish(store: std::sync::Arc<dyn meishi_store::Store>) {
    replay::every_account_is_as_its_events_tell(&store).await;
    assert_eq!(damage::found(store.as_ref()).await, []);
    store.close().await;
}

/// The end of a test that closed its store.
pub(crate) async fn closed(store: std::sync::Arc<dyn meishi_store::Store>) {
    store.close().await;
}
