using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Tls;
using MailPipeline.Mail;
using MailPipeline.MtaSts;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Smtp;

/// <summary>An open connection, or why this address cannot be used; then the next one may be tried.</summary>
/// <param name="IsUnreachable">Nothing was heard of the host, or the connection broke off; otherwise it answered.</param>
/// <param name="Tls">Under what TLS it is, or failed to be.</param>
/// <param name="IsAskedToSlowDown">It answered that it wants fewer connections, or none now.</param>
internal sealed record ConnectResult(
    SmtpClientConnection? Connection, string RemoteHost, string Status, string Reply, AttemptTls Tls, bool IsUnreachable = false, bool IsAskedToSlowDown = false);

/// <summary>
/// From an address to a connection that is ready for MAIL: connect, greeting, EHLO or HELO, STARTTLS, EHLO, and AUTH where the host knows us
/// by name.
/// </summary>
internal sealed class SmtpConnector(
    IOptions<DeliveryOptions> options, DeliveryTelemetry telemetry, ClearTextLog clearText, TrustedRoots roots, TlsResults results, BrokenTls broken, TlsExporter exporter,
    LoginLog logins, TimeProvider time)
{
    private const int Ready = 220;
    private const int Okay = 250;

    /// <summary>TCP_NOTSENT_LOWAT of Linux.</summary>
    private const int TcpUnsentLowMark = 25;

    private const int MostUnsentBytes = 128 * 1024;

    private const int MostDistrusted = 20_000;

    /// <summary>Long enough that a broken far end costs next to nothing, and not so long that one is broken for ever.</summary>
    private static readonly TimeSpan s_distrustTime = TimeSpan.FromDays(1);

    private readonly DeliveryOptions _options = options.Value;
    private readonly string _name = HelloName(options.Value.HostName);

    /// <summary>Far ends that offered CHUNKING lately and did not know BDAT.</summary>
    private readonly RecentEvents _chunkRefusals = new(MostDistrusted, s_distrustTime, time);

    /// <summary>Far ends that offered PIPELINING lately and lost the thread over commands that travelled together.</summary>
    private readonly RecentEvents _brokenPipelining = new(MostDistrusted, s_distrustTime, time);

    /// <param name="giveUp">Ends the attempt as one that failed.</param>
    /// <param name="cancellationToken">Ends it with an <see cref="OperationCanceledException"/>.</param>
    public async Task<ConnectResult> ConnectAsync(
        TargetHost host, IPAddress address, CancellationToken giveUp, CancellationToken cancellationToken)
    {
        EndPoint endPoint = host.IsSocket ? new UnixDomainSocketEndPoint(host.Name) : new IPEndPoint(address, host.Port);
        var remote = host.IsSocket ? host.Name : $"{host.Name}[{address}]:{host.Port}";
        // What is known by its address alone is not named twice.
        var peer = HostAddress.TryParse(host.Name, out _) ? $"{endPoint}" : remote;
        var attempt = new Attempt(host, endPoint, remote, peer, TlsChoice.Of(host.Tls, host.Tlsa));
        // Where TLS failed a moment ago it would fail again. Never where a policy has a say.
        if (attempt.MayBeClear && broken.Has(host.Name, address))
            attempt = attempt with { IsClear = true, TlsFault = "TLS failed here a moment ago" };
        var result = await TryAsync(attempt, giveUp, cancellationToken);
        Note(attempt, address);
        // RFC 7435: opportunistic means better in clear than not at all, but over a new connection.
        if (result.Connection is null && attempt is { TlsFailed: true, MayBeClear: true, IsClear: false })
        {
            broken.Note(host.Name, address);
            attempt = attempt with { IsClear = true, TlsFault = result.Reply };
            result = await TryAsync(attempt, giveUp, cancellationToken);
        }

        if (result.Connection is not null && attempt.TlsFault is { } cause)
            clearText.Write(host.Name, remote, cause);
        return result;
    }

    /// <summary>What this far end offers of CHUNKING is not believed any more for a day: it gets DATA.</summary>
    public void DistrustChunks(string remoteHost) => _chunkRefusals.Note(remoteHost);

    /// <summary>What this far end offers of PIPELINING is not believed any more for a day: it gets one command after the other.</summary>
    public void DistrustPipelining(string remoteHost) => _brokenPipelining.Note(remoteHost);

    /// <summary>What became of TLS, for metrics and for the domain. Not of a host that was not heard of.</summary>
    private void Note(Attempt attempt, IPAddress address)
    {
        if (attempt.Result is not { } result)
            return;
        telemetry.TlsSession(attempt.Choice.Word, result.Length == 0 ? "ok" : result);
        results.Note(attempt.Host.Tls, attempt.Choice, attempt.Host.Tlsa, attempt.Host.Name, address.ToString(), result);
    }

    // RFC 5321 §4.1.3: a machine without a domain name gives its address.
    private static string HelloName(string name) => HostAddress.TryParse(name, out var address) ? HostAddress.Literal(address) : name;

    private async Task<ConnectResult> TryAsync(Attempt attempt, CancellationToken giveUp, CancellationToken cancellationToken)
    {
        var step = "connect";
        SmtpClientConnection? connection = null;
        try
        {
            var socket = await OpenAsync(attempt, giveUp, cancellationToken);
            connection = new SmtpClientConnection(socket, attempt.Remote, attempt.Peer, time)
            {
                IsLmtp = attempt.Host.IsLmtp, FellBackToClear = attempt.TlsFault is not null, Host = attempt.Host, Security = attempt.Describe(null),
            };
            using var abort = cancellationToken.UnsafeRegister(state => ((SmtpClientConnection)state!).Abort(), connection);
            using var late = giveUp.UnsafeRegister(state => ((SmtpClientConnection)state!).GiveUp(), connection);

            if (attempt.Host.HasImplicitTls)
            {
                step = "tls";
                await StartTlsAsync(connection, attempt);
            }

            step = "greeting";
            var greeting = await connection.ReadReplyAsync(SmtpClientConnection.Greeting, _options.Timeouts.Greeting);
            if (greeting.Code != Ready)
                return Refused(connection, step, greeting);

            step = "hello";
            if (await HelloAsync(connection) is { } refusal)
                return Refused(connection, step, refusal);

            step = "tls";
            if (await SecureAsync(connection, attempt) is { } reply)
                return Refused(connection, step, reply);

            step = "auth";
            if (attempt.Host.Smarthost is { } smarthost && await SmarthostLogin.TryAsync(connection, smarthost, exporter, _options.Timeouts.Hello) is { } fault)
            {
                logins.Write(fault);
                return Refused(connection, step, fault.Status, fault.Text);
            }

            connection.IsTrusted = attempt.Host.Smarthost is not null || _options.SubmitterHosts.Any(attempt.Is);
            connection.TakesChunks = _options.Chunking && connection.Capabilities.Chunking && !_chunkRefusals.Has(attempt.Remote);
            connection.TakesPipelining = _options.Pipelining && connection.Capabilities.Pipelining && !_brokenPipelining.Has(attempt.Remote);
            telemetry.Handshake("ready", connection.Tls);
            return new ConnectResult(connection, attempt.Remote, "", "", connection.Security);
        }
        catch (SmtpConnectionException error)
        {
            telemetry.Handshake(step, connection?.Tls ?? "none");
            if (connection is not null)
                await connection.DisposeAsync();
            cancellationToken.ThrowIfCancellationRequested();
            attempt.TlsFailed |= step == "tls";
            if (attempt.TlsFailed)
                attempt.Result ??= attempt.FaultType;
            return new ConnectResult(null, attempt.Remote, error.Status, error.Reply, attempt.Describe(null), IsUnreachable: !giveUp.IsCancellationRequested);
        }
        catch when (connection is not null)
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private async Task<Socket> OpenAsync(Attempt attempt, CancellationToken giveUp, CancellationToken cancellationToken)
    {
        Socket? socket = null;
        var started = time.GetTimestamp();
        using var timeout = new CancellationTokenSource(_options.Timeouts.Connect, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, giveUp, timeout.Token);
        try
        {
            socket = new Socket(attempt.EndPoint.AddressFamily, SocketType.Stream, attempt.Host.IsSocket ? ProtocolType.Unspecified : ProtocolType.Tcp);
            if (!attempt.Host.IsSocket)
            {
                socket.NoDelay = true;
                KeepLittleUnsent(socket);
            }

            await socket.ConnectAsync(attempt.EndPoint, either.Token);
            return socket;
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            socket?.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            var text = error is SocketException failure ? ConnectionFault.OfConnect(failure, attempt.Peer)
                : timeout.IsCancellationRequested ? ConnectionFault.ConnectTimeout(attempt.Peer, _options.Timeouts.Connect)
                : ConnectionFault.GivenUp(attempt.Peer, "no answer to the connection", time.GetElapsedTime(started));
            throw new SmtpConnectionException("4.4.1", text, isTimeout: error is OperationCanceledException, error);
        }
    }

    /// <summary>
    /// The system would take some megabytes of a message in the place of a far end that takes nothing, and its final dot with them: nobody
    /// would know how far it came, and a message that never arrived would count as uncertain.
    /// </summary>
    private static void KeepLittleUnsent(Socket socket)
    {
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            Span<byte> bytes = stackalloc byte[sizeof(int)];
            MemoryMarshal.Write(bytes, MostUnsentBytes);
            socket.SetRawSocketOption((int)SocketOptionLevel.Tcp, TcpUnsentLowMark, bytes);
        }
        catch (SocketException)
        {
            // A system without it, such as a sandbox; the time of the final dot bounds it all the same.
        }
    }

    private ConnectResult Refused(SmtpClientConnection connection, string step, SmtpReply reply)
    {
        // Whatever a host answers before MAIL is about the host, not about the mail: another may take it, or this one later.
        return Refused(connection, step, RemoteReply.TemporaryStatus(reply, "4.3.2"), RemoteReply.Line(reply)) with
        {
            // Of STARTTLS the reply says something of TLS; RFC 3207 §4.
            IsAskedToSlowDown = step != "tls" && SlowDown.IsAskedFor(reply, step: null, isFirst: true),
        };
    }

    private ConnectResult Refused(SmtpClientConnection connection, string step, string status, string text)
    {
        telemetry.Handshake(step, connection.Tls);
        _ = connection.QuitAsync();
        return new ConnectResult(null, connection.RemoteHost, status, text, connection.Security);
    }

    /// <summary>Null when the far end knows us; its refusal otherwise.</summary>
    private async Task<SmtpReply?> HelloAsync(SmtpClientConnection connection)
    {
        var timeout = _options.Timeouts.Hello;
        var hello = connection.IsLmtp ? "LHLO" : "EHLO";
        await connection.WriteLineAsync($"{hello} {_name}", timeout);
        await connection.FlushAsync(timeout);
        var reply = await connection.ReadReplyAsync(hello, timeout);
        if (reply.Code == Okay)
        {
            connection.Capabilities = EhloCapabilities.Parse(reply);
            return null;
        }

        // RFC 5321 §3.2: a server without extensions refuses EHLO and knows HELO; one of LMTP knows neither (RFC 2033 §4.1).
        if (reply.Code / 100 != 5 || connection.IsLmtp)
            return reply;
        await connection.WriteLineAsync($"HELO {_name}", timeout);
        await connection.FlushAsync(timeout);
        reply = await connection.ReadReplyAsync("HELO", timeout);
        connection.Capabilities = EhloCapabilities.None;
        return reply.Code == Okay ? null : reply;
    }

    /// <summary>Null when the connection satisfies the policy; the reply that stands in the way otherwise.</summary>
    private async Task<SmtpReply?> SecureAsync(SmtpClientConnection connection, Attempt attempt)
    {
        if (attempt.IsClear || attempt.Choice.IsClear || connection.Tls != "none")
            return null;
        if (!connection.Capabilities.StartTls)
        {
            attempt.Result = TlsFailures.NotOffered;
            return attempt.Choice.IsMandatory
                ? throw new SmtpConnectionException("4.7.4", $"{attempt.Peer} does not offer STARTTLS, and TLS is required")
                : null;
        }

        var timeout = _options.Timeouts.Hello;
        await connection.WriteLineAsync("STARTTLS", timeout);
        await connection.FlushAsync(timeout);
        var reply = await connection.ReadReplyAsync("STARTTLS", timeout);
        // RFC 3207 §4: 454, TLS not available now; the dialogue goes on in clear where that is allowed.
        if (reply.Code != Ready)
        {
            attempt.Result = TlsFailures.Other;
            if (attempt.Choice.IsMandatory || reply.Code == 421)
                return reply;
            attempt.TlsFault = $"{attempt.Peer} refused STARTTLS: {RemoteReply.Line(reply)}";
            connection.FellBackToClear = true;
            return null;
        }

        await StartTlsAsync(connection, attempt);
        // RFC 3207 §4.2: what was learnt in clear is forgotten.
        return await HelloAsync(connection);
    }

    private async Task StartTlsAsync(SmtpClientConnection connection, Attempt attempt)
    {
        var check = attempt.Check = new CertificateCheck(attempt.Host, attempt.Peer, attempt.Choice, roots, time);
        await connection.StartTlsAsync(check, _options.Timeouts.Hello);
        connection.Security = attempt.Describe(connection);
        connection.IsVerified = check.Result == CertificateFault.None && attempt.Host.IsKnown;
        attempt.Result = attempt.Choice.Rule == CertificateRule.Any || check.Result == CertificateFault.None ? "" : attempt.FaultType;
        // RFC 8461 §4.1: where the policy is only tried out, that it does not name the host is told of and no more.
        if (attempt is { Result: "", Choice.Word: "sts-testing" } && !attempt.Host.Tls.Sts!.Names(attempt.Host.Name))
            attempt.Result = TlsFailures.Other;
    }

    private sealed record Attempt(TargetHost Host, EndPoint EndPoint, string Remote, string Peer, TlsChoice Choice)
    {
        /// <summary>STARTTLS is not asked for, although it may be.</summary>
        public bool IsClear { get; init; }

        public bool TlsFailed { get; set; }

        /// <param name="host">A name, or an address.</param>
        public bool Is(string host) =>
            host.Equals(Host.Name, StringComparison.OrdinalIgnoreCase)
            || (EndPoint is IPEndPoint { Address: var address } && HostAddress.TryParse(host, out var other) && address.Equals(other));

        /// <summary>Why the dialogue goes on in clear although the far end offers TLS; null when it does not.</summary>
        public string? TlsFault { get; set; }

        public CertificateCheck? Check { get; set; }

        /// <summary>Empty where TLS is as it should be, else the type of failure; null: it did not come to it.</summary>
        public string? Result { get; set; }

        public bool MayBeClear => Choice is { IsMandatory: false, IsClear: false } && !Host.HasImplicitTls;

        public string FaultType => TlsFailures.TypeOf(Check?.Result);

        /// <param name="connection">Null: none under TLS.</param>
        public AttemptTls Describe(SmtpClientConnection? connection)
        {
            var described = Choice.InClear();
            if (Check?.Result is { } fault)
                described = described with { Certificate = TlsChoice.CertificateWord(fault, Choice.Rule == CertificateRule.Tlsa) };
            return connection?.Encryption is var (protocol, cipher) ? described with { Protocol = protocol, Cipher = cipher } : described;
        }
    }
}
