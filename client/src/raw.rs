//! Calls by path with messages as bytes, for tools that know methods by their descriptors.

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Response, Status, Streaming};

use crate::call::{ANSWER_BYTES_MAX, Client, ready};
use crate::error::CallError;
use crate::pool::Transport;

impl Client {
    /// Calls a unary method with an encoded message; gives the encoded answer and the tries it took. `request_id`: the one in the message,
    /// when it is a change.
    ///
    /// # Errors
    /// What [`CallError`] lists.
    pub async fn call_raw(
        &self,
        path: &PathAndQuery,
        message: &Bytes,
        request_id: Option<&str>,
    ) -> Result<(Bytes, u32), CallError> {
        let send = |transport, request| {
            let path = path.clone();
            async move {
                let mut grpc = grpc(transport).await?;
                grpc.unary(request, path, Raw).await.map(Response::into_inner)
            }
        };
        self.run(request_id, || message.clone(), send).await
    }

    /// Calls a streaming method with encoded messages, once and without a deadline.
    ///
    /// # Errors
    /// The status with which the call was refused.
    pub async fn stream_raw(
        &self,
        path: PathAndQuery,
        messages: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Streaming<Bytes>, Status> {
        let mut grpc = grpc(self.transport()).await?;
        grpc.streaming(Request::new(messages), path, Raw).await.map(Response::into_inner)
    }
}

async fn grpc(transport: Transport) -> Result<Grpc<Transport>, Status> {
    let mut grpc = Grpc::new(transport).max_decoding_message_size(ANSWER_BYTES_MAX);
    ready(&mut grpc).await?;
    Ok(grpc)
}

/// Messages as they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
