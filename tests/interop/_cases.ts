/**
 * What the client in Python does, group by group: the sentence of each test, and the name of its case.
 *
 * @module
 */

/** Cases that need no more than gRPC's library. */
export const LIBRARY: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "The way through": {
    "A build goes all the way, and again from the cache": "the_whole_way",
    "What goes wrong is said with its code and details": "what_goes_wrong_is_said",
    "Fields of later versions do no harm, however deep": "unknown_fields_do_no_harm",
    "Stored messages come back byte for byte": "stored_messages_come_back_byte_for_byte",
  },
  "Messages": {
    "Requests may be compressed with gzip": "gzip",
    "Requests may be compressed with deflate": "deflate",
    "A stream may compress its messages": "some_messages_compressed_and_some_not",
    "A client with a small limit is told, and goes on": "small_receive_limit",
    "What is too large is refused, compressed or not": "message_beyond_the_server_limit",
    "Metadata passes up to a limit, and harms nobody beyond it": "metadata_at_the_limit_and_beyond",
    "Metadata may hold nonsense": "strange_metadata",
    "A client with the smallest windows reads 64 MiB": "tiny_windows",
    "Pings may come more often than is polite": "pings_more_often_than_polite",
  },
  "Deadlines": {
    "A millisecond ends a call of every method": "a_millisecond_on_every_method",
    "Hundreds of deadlines pass while the server works": "deadlines_in_a_crowd",
  },
  "Cancels": {
    "An execution is cancelled at every stage": "execute_cancelled_at_every_stage",
    "Those who stop waiting do not stop those who wait": "wait_cancelled_while_another_waits",
    "An upload is cancelled after each of its messages": "upload_cancelled_after_each_message",
    "An upload is cancelled when all of it was sent": "upload_cancelled_after_half_close",
    "An upload that ends early is kept, and nobody sees it": "upload_half_closed_early",
    "An upload goes on over another connection": "upload_half_sent_and_taken_up_again",
    "A download is cancelled after each of its messages": "download_cancelled_after_each_message",
    "Unary calls are cancelled": "unary_calls_cancelled",
  },
  "Streams": {
    "200 downloads share one channel": "200_streams_on_one_channel",
    "600 downloads wait their turn on one connection": "more_streams_than_one_connection_may_have",
    "60 uploads share one channel": "60_uploads_at_once",
    "100 channels see each other's blobs": "100_channels",
    "An upload has ten thousand messages": "a_very_long_stream",
    "Blobs go there and back in deflate": "blobs_in_deflate",
  },
};

/** Cases that write HTTP/2 frames by hand. */
export const FRAMES: Readonly<Record<string, string>> = {
  "A request comes in frames of one byte": "request_in_frames_of_one_byte",
  "An upload comes in frames of one byte": "upload_in_frames_of_one_byte",
  "Many messages come in one frame": "many_messages_in_one_frame",
  "Frames of odd sizes, empty ones too, carry an upload": "frames_of_odd_sizes",
  "A window of one byte is filled byte by byte": "window_of_one_byte",
  "A window of nothing grows": "window_of_nothing_that_grows",
  "A window shrinks below nothing": "window_that_shrinks_below_nothing",
  "Settings change in mid-stream": "settings_changed_in_mid_stream",
  "Headers come in continuations": "headers_in_continuations",
  "Headers without end end the connection": "continuations_without_end",
  "Padding and priorities change nothing": "padding_and_priorities",
  "Frames of unknown types change nothing": "frames_of_unknown_types",
  "Pings are answered, and a flood of them harms nobody": "flood_of_pings",
  "A flood of settings harms nobody": "flood_of_settings",
  "Calls that are reset as soon as opened harm nobody": "streams_reset_as_soon_as_opened",
  "More streams than allowed end their connection alone": "more_streams_than_allowed",
  "Encodings are told, and unknown ones refused": "encodings",
  "A small message that unfolds to a large one is refused": "a_small_message_that_unfolds_to_a_large_one",
  "A crowd of messages that unfold stays within the budget": "a_crowd_of_messages_that_unfold",
  "A call may not end in the middle of a message": "calls_that_end_in_the_middle_of_a_message",
  "Timeouts are read in every spelling": "timeouts_in_every_spelling",
  "A deadline of years is no deadline of the past": "deadlines_of_years",
  "What is no gRPC is told so": "content_types_and_verbs",
  "Garbage harms nobody": "garbage_instead_of_frames",
};

/** Cases that hold their calls until they are killed: what is held. */
export const HELD: Readonly<Record<string, string>> = {
  "an upload": "hold_an_upload",
  "executions": "hold_executions",
  "downloads": "hold_downloads",
};

/** Cases that others ask for by name. */
export const OTHERS: readonly string[] = ["admitted_or_not", "the_held_upload_is_not_there"];
