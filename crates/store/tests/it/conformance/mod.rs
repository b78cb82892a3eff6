//! The contract of [`meishi_store::Store`], one test a promise.
//!
//! A test is an `async fn` of a store that nobody else uses. To add one: write it in the file of
//! its noun and name it below; the compiler warns of a test that is named nowhere. `tenant.rs`
//! and `fields.rs` are the words that tests are made of, `replay.rs` holds every account to its
//! events after each test, `random_changes.rs` makes up what nobody thought of, `damage.rs` is what
//! an examination must find.

pub(crate) mod damage;
pub(crate) mod fields;
pub(crate) mod random_changes;
pub(crate) mod replay;
pub(crate) mod tenant;
pub(crate) mod values;

pub(crate) mod accounts;
pub(crate) mod apply;
pub(crate) mod closing;
pub(crate) mod concurrency;
pub(crate) mod contact_creation;
pub(crate) mod contact_deletion;
pub(crate) mod contact_update;
pub(crate) mod events;
pub(crate) mod idempotency;
pub(crate) mod identities;
pub(crate) mod inboxes;
pub(crate) mod keys;
pub(crate) mod labels;
pub(crate) mod preconditions;
pub(crate) mod reads;
pub(crate) mod snapshot;

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
                a_source_id_that_is_not_given_is_a_uuid_of_the_seed_and_the_position,
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
                what_was_written_is_read_at_once_by_everybody,
            }
            snapshot {
                an_empty_account_has_an_empty_snapshot,
                contacts_come_by_id_with_their_labels,
                a_snapshot_shows_its_moment_whatever_is_written_while_it_is_read,
                a_snapshot_that_nobody_reads_to_its_end_holds_nothing_up,
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
