//! Plain text, as in the simplest tutorial.

use std::pin::pin;

use roomful::{Close, CloseCode, Moment, Result, Socket};
use tokio::sync::watch;

use super::under_way::{Outcome, UnderWay};
use super::{note_end, plain_close};
use crate::chat::{ActionId, Attendance, Chat, stopped};
use crate::protocol::Action;

/// A text frame in is a message said, a text frame out is a message's text.
pub(super) async fn speak(
    chat: &Chat,
    attendance: &Attendance,
    socket: &mut Socket,
    stopping: &mut watch::Receiver<bool>,
) -> Result {
    let mut stopping = pin!(stopped(stopping));
    let mut under_way = UnderWay::new();
    // The member is this connection's own, so counting makes its ids.
    let mut said: u64 = 0;
    let end = loop {
        let step = tokio::select! {
            biased;
            outcome = under_way.next(), if !under_way.is_empty() => end_if_refused(chat, outcome),
            moment = socket.next(), if under_way.has_room() => match moment {
                Moment::Message(message) => {
                    let text = match message.into_text() {
                        Ok(text) => text,
                        Err(error) => break Err(error.into()),
                    };
                    if text.trim().is_empty() {
                        continue;
                    }
                    while let Err(wait) = chat.count(&attendance.member().id) {
                        // Nothing is lost: the socket is not read until it may say more.
                        Box::pin(tokio::time::sleep(wait)).await;
                    }
                    said += 1;
                    let say = Action::Say { text, reply_to: None };
                    let acting = chat.act(attendance.access(), ActionId::counted(said), say);
                    let known = under_way.push((), acting);
                    known.map_or(Ok(()), |outcome| end_if_refused(chat, outcome))
                }
                Moment::Lagged(_) => {
                    chat.counters().resynced();
                    Ok(())
                }
                Moment::Closed(close) => {
                    note_end(chat, &close);
                    break Ok(());
                }
                _ => Ok(()),
            },
            () = &mut stopping, if under_way.is_empty() => {
                break Err(Close::new(CloseCode::GOING_AWAY, "the server is stopping").into());
            }
        };
        if step.is_err() {
            break step;
        }
    };
    // What was said before the farewell is stored.
    under_way.finish().await;
    end
}

/// Plain text has no words for a refusal: the code tells whether to come back.
fn end_if_refused(chat: &Chat, ((), said): Outcome<()>) -> Result {
    said.map(drop)
        .map_err(|refusal| plain_close(chat, &refusal).into())
}
