//! The network between tabs and server: queues that move only when they are told to.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::ws::Message;
use futures_util::{Sink, Stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Dice;
use super::house::House;
use crate::ids::CommandId;
use crate::protocol::{ClientFrame, Command, ServerFrame};
use crate::testing::tab::Tab;

/// What the server holds in the place of a WebSocket.
pub(super) struct ServerEnd {
    frames: UnboundedReceiver<Message>,
    out: UnboundedSender<Message>,
}

impl Stream for ServerEnd {
    type Item = Result<Message, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.frames.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

impl Sink<Message> for ServerEnd {
    type Error = axum::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, frame: Message) -> Result<(), axum::Error> {
        self.out.send(frame).map_err(axum::Error::new)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        Poll::Ready(Ok(()))
    }
}

/// A connection, with what is on its way in it.
struct Line {
    up: VecDeque<ClientFrame>,
    to_server: UnboundedSender<Message>,
    from_server: UnboundedReceiver<Message>,
}

impl Line {
    fn deliver_up(&mut self) -> bool {
        let Some(frame) = self.up.pop_front() else { return false };
        let text = serde_json::to_string(&frame).unwrap();
        let _ = self.to_server.send(Message::Text(text.into()));
        true
    }
}

/// A tab and the line that it believes in.
pub(super) struct End {
    pub(super) tab: Tab,
    token: String,
    line: Option<Line>,
}

/// All of it.
pub(super) struct Network {
    pub(super) tabs: Vec<End>,
    /// Lines that their tabs have given up, while the server still believes in them.
    ghosts: Vec<Line>,
    pub(super) connections: usize,
}

impl Network {
    /// Two tabs for everybody, not connected yet.
    pub(super) fn new(house: &House) -> Self {
        let tabs = house.people.iter().enumerate().flat_map(|(n, user)| {
            (0..2).map(move |tab| End {
                tab: Tab::new(user.clone(), format!("p{n}-tab-{tab}").into()),
                token: house.token(n),
                line: None,
            })
        });
        Self {
            tabs: tabs.collect(),
            ghosts: Vec::new(),
            connections: 0,
        }
    }

    /// Opens a line, if the tab has none.
    pub(super) fn connect(&mut self, house: &House, at: usize) {
        let end = &mut self.tabs[at];
        if end.line.is_some() {
            return;
        }
        let (to_server, frames) = unbounded_channel();
        let (out, from_server) = unbounded_channel();
        house.accept(ServerEnd { frames, out });
        end.line = Some(Line {
            up: VecDeque::from([end.tab.hello(end.token.clone())]),
            to_server,
            from_server,
        });
        self.connections += 1;
    }

    /// A command; it goes out at once if there is a line, and after every welcome until it is answered.
    pub(super) fn ask(&mut self, at: usize, id: CommandId, command: &Command) {
        let end = &mut self.tabs[at];
        let frame = end.tab.command(id, command).unwrap();
        if let Some(line) = &mut end.line {
            line.up.push_back(frame);
        }
    }

    /// The same once more, whether it was answered or not.
    pub(super) fn ask_again(&mut self, at: usize, id: &CommandId, command: &Command) {
        let end = &mut self.tabs[at];
        let open = end.tab.pending.iter().any(|request| request.id == *id);
        let frame = end.tab.command(id.clone(), command).unwrap();
        if open {
            end.tab.pending.pop(); // it is on the list already
        }
        if let Some(line) = &mut end.line {
            line.up.push_back(frame);
        }
    }

    /// One frame reaches the server, by any line.
    pub(super) fn deliver_up(&mut self, dice: &mut Dice) {
        let lines = self.tabs.iter_mut().filter_map(|end| end.line.as_mut());
        let mut lines: Vec<&mut Line> = lines
            .chain(&mut self.ghosts)
            .filter(|line| !line.up.is_empty())
            .collect();
        if !lines.is_empty() {
            let at = dice.roll(lines.len());
            lines[at].deliver_up();
        }
    }

    /// One frame reaches a tab.
    pub(super) fn deliver_down(&mut self, dice: &mut Dice) {
        let waiting = |end: &End| end.line.as_ref().is_some_and(|line| !line.from_server.is_empty());
        let with_mail: Vec<usize> = (0..self.tabs.len()).filter(|at| waiting(&self.tabs[*at])).collect();
        if let Some(at) = dice.of(&with_mail) {
            self.receive(*at);
        }
    }

    /// Takes in one frame. Whether there was one.
    fn receive(&mut self, at: usize) -> bool {
        let end = &mut self.tabs[at];
        let Some(line) = &mut end.line else { return false };
        match line.from_server.try_recv() {
            Ok(Message::Text(text)) => {
                let frame: ServerFrame = serde_json::from_str(&text).unwrap();
                let replies = end.tab.handle(frame);
                line.up
                    .extend(replies.unwrap_or_else(|why| panic!("{}: {why}", end.tab.device)));
                true
            }
            Ok(_) => {
                end.line = None; // closed by the server
                true
            }
            Err(tokio::sync::mpsc::error::TryRecvError::Empty) => false,
            Err(tokio::sync::mpsc::error::TryRecvError::Disconnected) => {
                end.line = None;
                false
            }
        }
    }

    /// The tab gives its line up; what was on its way to it is lost. The server notices at once, or not.
    pub(super) fn cut(&mut self, at: usize, noticed: bool) {
        if let Some(line) = self.tabs[at].line.take()
            && !noticed
        {
            self.ghosts.push(line);
        }
    }

    /// The server notices that one of the lines is dead.
    pub(super) fn lay_a_ghost(&mut self, dice: &mut Dice) {
        if !self.ghosts.is_empty() {
            self.ghosts.remove(dice.roll(self.ghosts.len()));
        }
    }

    /// It notices all, after the last of what they carried has come.
    pub(super) fn lay_all_ghosts(&mut self) {
        for mut ghost in self.ghosts.drain(..) {
            while ghost.deliver_up() {}
        }
    }

    /// Everything that is on its way arrives.
    pub(super) fn deliver_all(&mut self, dice: &mut Dice) {
        for at in 0..self.tabs.len() {
            while self.receive(at) {}
        }
        while self
            .tabs
            .iter()
            .any(|end| end.line.as_ref().is_some_and(|line| !line.up.is_empty()))
        {
            self.deliver_up(dice);
        }
    }
}
