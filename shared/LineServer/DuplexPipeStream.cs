using System.Buffers;
using System.IO.Pipelines;

namespace MailPipeline.LineServer;

/// <summary>A connection's pipes as the stream that TLS is put on.</summary>
internal sealed class DuplexPipeStream(IDuplexPipe pipe) : Stream
{
    /// <summary>Nobody takes any more what is written.</summary>
    public bool IsUnread { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var result = await pipe.Input.ReadAsync(cancellationToken);
        var available = result.Buffer;
        if (result.IsCanceled)
        {
            // The host stops, or time is up, in the middle of a handshake.
            pipe.Input.AdvanceTo(available.Start);
            throw new OperationCanceledException("The wait for the client was ended.");
        }

        // An empty buffer asks to be told when there is something (TLS does, to wait without holding memory).
        if (available.IsEmpty || buffer.IsEmpty)
        {
            pipe.Input.AdvanceTo(available.Start);
            return 0;
        }

        var length = (int)Math.Min(available.Length, buffer.Length);
        var taken = available.Slice(0, length);
        taken.CopyTo(buffer.Span);
        // From here on the memory behind it is somebody else's.
        pipe.Input.AdvanceTo(taken.End);
        return length;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var written = await pipe.Output.WriteAsync(buffer, cancellationToken);
        if (written.IsCanceled)
            throw new OperationCanceledException("The wait for the client was ended.");
        IsUnread |= written.IsCompleted;
    }

    // Each write is flushed.
    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
