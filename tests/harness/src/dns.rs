//! A name server with records that tests write.

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record, RecordType};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;

type Records = Arc<Mutex<HashMap<String, Vec<String>>>>;

/// A name server on this machine, over UDP. It knows TXT records and nothing else.
#[derive(Debug, Clone)]
pub struct NameServer {
    address: SocketAddr,
    records: Records,
}

impl NameServer {
    /// Starts one. It ends with the runtime that it was started on.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("some port is free");
        let address = socket.local_addr().expect("it is bound");
        let records = Records::default();
        tokio::spawn(serve(socket, Arc::clone(&records)));
        Self { address, records }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has a name hold these texts; none takes the record away.
    ///
    /// # Panics
    /// When another test has panicked meanwhile.
    pub fn set(&self, name: &str, texts: &[&str]) {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        self.records.lock().expect("nobody panics").insert(name.to_ascii_lowercase(), texts);
    }
}

async fn serve(socket: UdpSocket, records: Records) {
    let mut buffer = vec![0; 4_096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let answer = Message::from_vec(&buffer[..length]).ok().and_then(|query| {
            let records = records.lock().expect("nobody panics");
            answer(&query, &records).to_vec().ok()
        });
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// What is asked for, or that there is no such name (RFC 1035 §4.1.1).
fn answer(query: &Message, records: &HashMap<String, Vec<String>>) -> Message {
    let mut answer = query.clone();
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = ResponseCode::NXDomain;
    let Some(question) = query.queries.first() else { return answer };
    let name = question.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let texts = records.get(&name).filter(|texts| !texts.is_empty());
    if let (Some(texts), RecordType::TXT) = (texts, question.query_type()) {
        answer.metadata.response_code = ResponseCode::NoError;
        for text in texts {
            let data = RData::TXT(TXT::new(vec![text.clone()]));
            answer.add_answer(Record::from_rdata(question.name().clone(), 60, data));
        }
    }
    answer
}
