// SPDX-License-Identifier: Apache-2.0

//! Serves the echoes of `peer.v1.Echo` with the crate `ttrpc`, on a unix socket.
//!
//! Prints "ready" when it listens and ends when its standard input does.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use protobuf::well_known_types::wrappers::{BytesValue, UInt64Value};
use protobuf::Message;
use tokio::io::AsyncReadExt;
use ttrpc::r#async::{
    MethodHandler, Server, ServerStream, ServerStreamReceiver, ServerStreamSender, Service,
    StreamHandler, StreamInner, TtrpcContext,
};
use ttrpc::{Error, Request, Response, Result};

/// Of a frame: the request that opens a stream has no message for its handler.
const NO_DATA: u8 = 4;

struct Echo;
struct EchoStream;
struct Upload;
struct Download;

#[async_trait]
impl MethodHandler for Echo {
    async fn handler(&self, _: TtrpcContext, request: Request) -> Result<Response> {
        let message = BytesValue::parse_from_bytes(&request.payload).map_err(failed)?;
        answer(&message)
    }
}

#[async_trait]
impl StreamHandler for EchoStream {
    async fn handler(&self, context: TtrpcContext, inner: StreamInner) -> Result<Option<Response>> {
        let mut stream = ServerStream::<BytesValue, BytesValue>::new(inner);
        if starts_with_a_ghost(&context) {
            stream.recv().await?;
        }
        while let Some(message) = stream.recv().await? {
            stream.send(&message).await?;
        }
        Ok(None)
    }
}

#[async_trait]
impl StreamHandler for Upload {
    async fn handler(&self, context: TtrpcContext, inner: StreamInner) -> Result<Option<Response>> {
        let mut stream = ServerStreamReceiver::<BytesValue>::new(inner);
        if starts_with_a_ghost(&context) {
            stream.recv().await?;
        }
        let (mut count, mut size) = (0u64, 0u64);
        while let Some(message) = stream.recv().await? {
            count += 1;
            size += message.value.len() as u64;
        }
        let mut total = UInt64Value::new();
        total.value = count << 32 | size & 0xFFFF_FFFF;
        answer(&total).map(Some)
    }
}

#[async_trait]
impl StreamHandler for Download {
    async fn handler(&self, _: TtrpcContext, mut inner: StreamInner) -> Result<Option<Response>> {
        let request = UInt64Value::parse_from_bytes(&inner.recv().await?).map_err(failed)?;
        let stream = ServerStreamSender::<BytesValue>::new(inner);
        let mut message = BytesValue::new();
        message.value = vec![0; (request.value & 0xFFFF_FFFF) as usize];
        for _ in 0..request.value >> 32 {
            stream.send(&message).await?;
        }
        Ok(None)
    }
}

/// Go's client opens a stream without NO_DATA, and the crate then hands the empty payload
/// of the request to the handler as a first message that nobody sent.
fn starts_with_a_ghost(context: &TtrpcContext) -> bool {
    context.mh.flags & NO_DATA == 0
}

fn answer(message: &impl Message) -> Result<Response> {
    let mut response = Response::new();
    response.payload = message.write_to_bytes().map_err(failed)?;
    Ok(response)
}

fn failed(error: impl ToString) -> Error {
    Error::Others(error.to_string())
}

#[tokio::main]
async fn main() -> Result<()> {
    let path = std::env::args().nth(1).expect("usage: rust-peer PATH");
    let service = Service {
        methods: HashMap::from([("Echo".to_string(), Box::new(Echo) as _)]),
        streams: HashMap::from([
            ("EchoStream".to_string(), Arc::new(EchoStream) as _),
            ("Upload".to_string(), Arc::new(Upload) as _),
            ("Download".to_string(), Arc::new(Download) as _),
        ]),
    };
    let mut server = Server::new()
        .bind(&format!("unix://{path}"))?
        .register_service(HashMap::from([("peer.v1.Echo".to_string(), service)]));
    server.start().await?;
    println!("ready");
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await.map_err(failed)?;
    // The thread that waits for standard input must not hold up the end.
    std::process::exit(0)
}
