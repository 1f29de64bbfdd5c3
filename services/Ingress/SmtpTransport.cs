using System.IO.Pipelines;
using System.Net.Security;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using MailPipeline.LineServer;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.AspNetCore.Connections;

namespace MailPipeline.Ingress;

/// <summary>
/// The octets of one connection, in clear or under TLS, and how long its client is waited for. Replies are gathered until the client has
/// to be waited for, and leave in one write (RFC 2920 §3.1).
/// </summary>
internal sealed class SmtpTransport(ConnectionContext connection, SessionPatience patience, IngressOptions options, TimeProvider time)
{
    private const long Never = long.MaxValue;

    private PipeReader _input = connection.Transport.Input;
    private PipeWriter _output = connection.Transport.Output;
    private SslStream? _tls;
    private bool _hasReplies;

    // Shared with the registry's timer and with the stop of the host.
    private long _deadline = Never;
    private long _crowdedDeadline = Never;
    private volatile bool _isWriting;
    private volatile bool _timedOut;
    private volatile bool _stopping;

    /// <summary>A deadline has passed; the read that waited came back without octets.</summary>
    public bool TimedOut => _timedOut;

    /// <summary>The host stops.</summary>
    public bool IsStopping => _stopping;

    /// <summary>The host stops: the read under way comes back.</summary>
    public void Stop()
    {
        _stopping = true;
        // TLS may be replacing the input right now: one of both sees what the other wrote.
        Interlocked.MemoryBarrier();
        _input.CancelPendingRead();
    }

    /// <summary>Called once a second: ends the wait for a client that lets us wait for too long.</summary>
    public void CheckDeadline(long now, SessionPlaces places)
    {
        if (now <= Volatile.Read(ref _deadline) && (now <= Volatile.Read(ref _crowdedDeadline) || !places.IsNearlyFull))
            return;

        EndWait();
        _timedOut = true;
        // Who does not read our replies will not read another one.
        if (_isWriting)
            connection.Abort();
        else
            _input.CancelPendingRead();
    }

    /// <summary>What has arrived already, or else what comes until the deadline; replies leave before waiting.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<ReadResult> ReadAsync(WaitEnd end)
    {
        if (_input.TryRead(out var ready))
            return ready;

        await FlushAsync();
        BeginWait(end);
        var result = await _input.ReadAsync();
        EndWait();
        return result;
    }

    public void AdvanceTo(SequencePosition consumed) => _input.AdvanceTo(consumed);

    public void AdvanceTo(SequencePosition consumed, SequencePosition examined) => _input.AdvanceTo(consumed, examined);

    public void Write(SmtpReply reply)
    {
        reply.WriteTo(_output);
        _hasReplies = true;
    }

    public async ValueTask FlushAsync()
    {
        if (!_hasReplies)
            return;

        _hasReplies = false;
        _isWriting = true;
        BeginWait(patience.ForReplies());
        await _output.FlushAsync();
        EndWait();
        _isWriting = false;
    }

    /// <summary>Puts TLS on the connection; what was written before leaves in clear.</summary>
    /// <returns>Why there is no TLS; null when there is.</returns>
    public async Task<Exception?> StartTlsAsync(SslServerAuthenticationOptions terms)
    {
        await FlushAsync();
        var tls = new SslStream(new DuplexPipeStream(connection.Transport));
        using var timeout = new CancellationTokenSource(options.TlsTimeout, time);
        try
        {
            await tls.AuthenticateAsServerAsync(terms, timeout.Token);
        }
        catch (Exception failed) when (failed is AuthenticationException or IOException or OperationCanceledException or InvalidOperationException)
        {
            await tls.DisposeAsync();
            return failed;
        }

        _tls = tls;
        // Zero-byte reads: an idle session holds no buffer.
        _input = PipeReader.Create(tls, new StreamPipeReaderOptions(bufferSize: 16 * 1024, leaveOpen: true, useZeroByteReads: true));
        _output = PipeWriter.Create(tls, new StreamPipeWriterOptions(leaveOpen: true));
        Interlocked.MemoryBarrier();
        if (_stopping)
            _input.CancelPendingRead();
        return null;
    }

    public async Task CloseTlsAsync()
    {
        if (_tls is not { } tls)
            return;

        try
        {
            await _output.CompleteAsync();
            await _input.CompleteAsync();
            // RFC 8446 §6.1: says that nothing was cut off. The client may be gone.
            if (!connection.ConnectionClosed.IsCancellationRequested)
                await tls.ShutdownAsync();
        }
        catch (Exception gone) when (gone is IOException or InvalidOperationException or OperationCanceledException or ConnectionAbortedException)
        {
            // Then nobody is left to be told.
        }

        await tls.DisposeAsync();
    }

    public void Abort() => connection.Abort();

    private void BeginWait(WaitEnd end)
    {
        Volatile.Write(ref _crowdedDeadline, end.Crowded);
        Volatile.Write(ref _deadline, end.Always);
    }

    private void EndWait() => BeginWait(new WaitEnd(Never, Never));
}
