using System.Net;
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
    SmtpClientConnection? Connection, string RemoteHost, string Status, string Reply, AttemptTls Tls, bool IsUnreachable = false, bool IsAskedToSlowDown = false)
{
    /// <summary>Which of the addresses that it is about.</summary>
    public required IPAddress Address { get; init; }

    /// <summary>It is about what we lack ourselves: the host was not spoken to.</summary>
    public bool IsOurs { get; init; }

    /// <summary>Others of the addresses that could not be connected to.</summary>
    public IReadOnlyList<(IPAddress Address, SmtpConnectionException Error)> Failed { get; init; } = [];
}

/// <summary>
/// From an address to a connection that is ready for MAIL: connect, greeting, EHLO or HELO, STARTTLS, EHLO, and AUTH where the host knows us
/// by name.
/// </summary>
internal sealed class SmtpConnector(
    IOptions<DeliveryOptions> options, Dialer dialer, DeliveryTelemetry telemetry, ClearTextLog clearText, TrustedRoots roots, TlsResults results, BrokenTls broken, TlsExporter exporter,
    LoginLog logins, TimeProvider time)
{
    private const int Ready = 220;
    private const int Okay = 250;

    private const int MostDistrusted = 20_000;

    /// <summary>Long enough that a broken far end costs next to nothing, and not so long that one is broken for ever.</summary>
    private static readonly TimeSpan s_distrustTime = TimeSpan.FromDays(1);

    private readonly DeliveryOptions _options = options.Value;
    private readonly string _name = HelloName(options.Value.HostName);

    /// <summary>Far ends that offered CHUNKING lately and did not know BDAT.</summary>
    private readonly RecentEvents _chunkRefusals = new(MostDistrusted, s_distrustTime, time);

    /// <summary>Far ends that offered PIPELINING lately and lost the thread over commands that travelled together.</summary>
    private readonly RecentEvents _brokenPipelining = new(MostDistrusted, s_distrustTime, time);

    /// <summary>The first of the addresses of one host that can be connected to (<see cref="AddressRace"/>), up to MAIL.</summary>
    /// <param name="addresses">In the order in which they are to be tried.</param>
    /// <param name="cancellationToken">Ends it with an <see cref="OperationCanceledException"/>.</param>
    public async Task<ConnectResult> ConnectAsync(
        DialPlan plan, IReadOnlyList<IPAddress> addresses, CancellationToken cancellationToken)
    {
        if (addresses is [var alone])
            return await ConnectAsync(plan, alone, cancellationToken);
        Task<Dialled> OpenAsync(IPAddress address, CancellationToken lost) => dialer.OpenAsync(plan, address, lost, cancellationToken);
        var race = plan.IsCounted
            ? await AddressRace.RunOneByOneAsync(addresses, OpenAsync, _options.ConnectionAttemptDelay, time)
            : await AddressRace.RunAsync(addresses, OpenAsync, _options.ConnectionAttemptDelay, dialled => dialled.Close(), time);
        foreach (var _ in race.Failed)
            telemetry.Handshake("connect", "none");
        telemetry.Raced(race.Winner is not { } won ? "none" : won.Address.Equals(addresses[0]) ? "first" : "other");
        if (race.Winner is var (winner, dialled))
            return await ConnectAsync(plan, winner, cancellationToken, dialled) with { Failed = race.Failed };
        // What a host has done says more than what we lack.
        var last = race.Failed.LastOrDefault(failure => !failure.Error.IsOurs, race.Failed[^1]);
        return Failed(new Attempt(plan, last.Address), last.Error) with { Failed = [.. race.Failed.Where(failure => failure != last)] };
    }

    /// <param name="dialled">Null: it is still to be connected to.</param>
    /// <inheritdoc cref="ConnectAsync(DialPlan, IReadOnlyList{IPAddress}, CancellationToken)"/>
    public async Task<ConnectResult> ConnectAsync(DialPlan plan, IPAddress address, CancellationToken cancellationToken, Dialled? dialled = null)
    {
        var host = plan.Host;
        var attempt = new Attempt(plan, address) { Dialled = dialled };
        // Where TLS failed a moment ago it would fail again. Never where a policy has a say.
        if (attempt.MayBeClear && broken.Has(host.Name, address))
            attempt = attempt with { IsClear = true, TlsFault = "TLS failed here a moment ago" };
        var result = await TryAsync(attempt, cancellationToken);
        Note(attempt, address);
        // RFC 7435: opportunistic means better in clear than not at all, but over a new connection.
        if (result.Connection is null && attempt is { TlsFailed: true, MayBeClear: true, IsClear: false })
        {
            broken.Note(host.Name, address);
            attempt = attempt with { IsClear = true, TlsFault = result.Reply, Dialled = null };
            result = await TryAsync(attempt, cancellationToken);
        }

        if (result.Connection is not null && attempt.TlsFault is { } cause)
            clearText.Write(host.Name, attempt.Remote, cause);
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

    private async Task<ConnectResult> TryAsync(Attempt attempt, CancellationToken cancellationToken)
    {
        var step = "connect";
        SmtpClientConnection? connection = null;
        try
        {
            var (socket, source) = attempt.Dialled ?? await dialer.OpenAsync(attempt.Plan, attempt.Address, CancellationToken.None, cancellationToken);
            connection = new SmtpClientConnection(socket, attempt.Remote, attempt.Peer, time, source)
            {
                IsLmtp = attempt.Host.IsLmtp, FellBackToClear = attempt.TlsFault is not null, Host = attempt.Host, Security = attempt.Describe(null),
            };
            using var abort = cancellationToken.UnsafeRegister(state => ((SmtpClientConnection)state!).Abort(), connection);
            using var late = attempt.Plan.GiveUp.UnsafeRegister(state => ((SmtpClientConnection)state!).GiveUp(), connection);

            if (attempt.Host.HasImplicitTls)
            {
                step = "tls";
                await StartTlsAsync(connection, attempt);
            }

            step = "greeting";
            var greeting = await connection.ReadReplyAsync(SmtpClientConnection.Greeting, _options.Timeouts.Greeting);
            if (greeting.Code != Ready)
                return await RefusedAsync(connection, attempt, step, greeting);

            step = "hello";
            if (await HelloAsync(connection) is { } refusal)
                return await RefusedAsync(connection, attempt, step, refusal);

            step = "tls";
            if (await SecureAsync(connection, attempt) is { } reply)
                return await RefusedAsync(connection, attempt, step, reply);

            step = "auth";
            if (attempt.Host.Smarthost is { } smarthost && await SmarthostLogin.TryAsync(connection, smarthost, exporter, _options.Timeouts.Hello) is { } fault)
            {
                logins.Write(fault);
                return await RefusedAsync(connection, attempt, step, fault.Status, fault.Text);
            }

            connection.IsTrusted = attempt.Host.Smarthost is not null || _options.SubmitterHosts.Any(attempt.Is);
            connection.TakesChunks = _options.Chunking && connection.Capabilities.Chunking && !_chunkRefusals.Has(attempt.Remote);
            connection.TakesPipelining = _options.Pipelining && connection.Capabilities.Pipelining && !_brokenPipelining.Has(attempt.Remote);
            telemetry.Handshake("ready", connection.Tls);
            return new ConnectResult(connection, attempt.Remote, "", "", connection.Security) { Address = attempt.Address };
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
            return Failed(attempt, error);
        }
        catch when (connection is not null)
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private static ConnectResult Failed(Attempt attempt, SmtpConnectionException error) =>
        new(null, attempt.Remote, error.Status, error.Reply, attempt.Describe(null), IsUnreachable: !error.IsOurs && !attempt.Plan.GiveUp.IsCancellationRequested)
        {
            Address = attempt.Address,
            IsOurs = error.IsOurs,
        };

    private async Task<ConnectResult> RefusedAsync(SmtpClientConnection connection, Attempt attempt, string step, SmtpReply reply)
    {
        // Whatever a host answers before MAIL is about the host, not about the mail: another may take it, or this one later.
        return await RefusedAsync(connection, attempt, step, RemoteReply.TemporaryStatus(reply, "4.3.2"), RemoteReply.Line(reply)) with
        {
            // Of STARTTLS the reply says something of TLS; RFC 3207 §4.
            IsAskedToSlowDown = step != "tls" && SlowDown.IsAskedFor(reply, step: null, isFirst: true),
        };
    }

    private async Task<ConnectResult> RefusedAsync(SmtpClientConnection connection, Attempt attempt, string step, string status, string text)
    {
        telemetry.Handshake(step, connection.Tls);
        // Where connections are counted the next address is not dialled beside this one.
        if (attempt.Plan.IsCounted)
            await connection.QuitSoonAsync();
        else
            _ = connection.QuitAsync();
        return new ConnectResult(null, connection.RemoteHost, status, text, connection.Security) { Address = attempt.Address };
    }

    /// <summary>Null when the far end knows us; its refusal otherwise.</summary>
    private async Task<SmtpReply?> HelloAsync(SmtpClientConnection connection)
    {
        var timeout = _options.Timeouts.Hello;
        var hello = connection.IsLmtp ? "LHLO" : "EHLO";
        var name = connection.Source is { Source.HostName: { Length: > 0 } own } ? HelloName(own) : _name;
        await connection.WriteLineAsync($"{hello} {name}", timeout);
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
        await connection.WriteLineAsync($"HELO {name}", timeout);
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

    private sealed record Attempt(DialPlan Plan, IPAddress Address)
    {
        public TargetHost Host => Plan.Host;

        public string Remote { get; } = Plan.RemoteOf(Address);

        public string Peer { get; } = Plan.PeerOf(Address);

        public TlsChoice Choice { get; } = TlsChoice.Of(Plan.Host.Tls, Plan.Host.Tlsa);

        /// <summary>A connection that was made already.</summary>
        public Dialled? Dialled { get; init; }

        /// <summary>STARTTLS is not asked for, although it may be.</summary>
        public bool IsClear { get; init; }

        public bool TlsFailed { get; set; }

        /// <param name="host">A name, or an address.</param>
        public bool Is(string host) =>
            host.Equals(Host.Name, StringComparison.OrdinalIgnoreCase)
            || (!Host.IsSocket && HostAddress.TryParse(host, out var other) && Address.Equals(other));

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
