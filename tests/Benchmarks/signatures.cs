#!/usr/bin/env dotnet
// The processor's time of one DKIM signature and of its verification, of a message of 2 KB. README.md says how to read it.
//
//   dotnet run -c Release tests/Benchmarks/signatures.cs
#:project ../../shared/Authentication/Authentication.csproj
#:property PublishAot=false

using System.Globalization;
using System.Net;
using System.Text;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Dns;

const int Rounds = 9;
const int MessagesOfRound = 500;

var prefix = Encoding.ASCII.GetBytes("Date: Mon, 30 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n");
var message = Encoding.ASCII.GetBytes(
    "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: A subject\r\n\r\n"
    + string.Concat(Enumerable.Repeat("A line of text that is as long as lines are.\r\n", 40)));
var records = new KeyRecords();
var now = new DateTimeOffset(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);

Console.WriteLine("ms of CPU a message  sign  verify");
foreach (var kind in new[] { DkimKeyKind.Rsa, DkimKeyKind.Ed25519 })
{
    var key = DkimSigningKey.Read("example.org", "s", DkimSigningKey.Create(kind));
    byte[] signed = [.. Sign(key), .. prefix, .. message];
    var dns = new OneRecord(key.Record);
    if (await VerifyAsync(signed, dns) != AuthenticationStatus.Pass)
        throw new InvalidOperationException("The signature does not match.");
    Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{key.Algorithm,-19}  {Measure(() => Sign(key)):0.000}  {Measure(() => VerifyAsync(signed, dns).GetAwaiter().GetResult()):0.000}"));
}

byte[] Sign(DkimSigningKey key)
{
    using var content = new SignableContent();
    content.Take(message);
    content.End();
    return content.Sign(content.HeaderBelow(prefix), [key], now);
}

async Task<AuthenticationStatus> VerifyAsync(byte[] signed, IDnsLookup dns)
{
    using var content = new SignedContent(new VerificationLimits(), records);
    content.Take(signed);
    content.End();
    return (await content.VerifyAsync(dns, now, CancellationToken.None))[0].Status;
}

// The least of the rounds: what else runs on the machine only adds to it.
static double Measure(Action act)
{
    var best = double.MaxValue;
    for (var round = 0; round < Rounds; round++)
    {
        var before = Environment.CpuUsage.TotalTime;
        for (var i = 0; i < MessagesOfRound; i++)
            act();
        best = Math.Min(best, (Environment.CpuUsage.TotalTime - before).TotalMilliseconds / MessagesOfRound);
    }

    return best;
}

/// <summary>One record at every name.</summary>
internal sealed class OneRecord(string text) : IDnsLookup
{
    public Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken) =>
        Task.FromResult(new DnsAnswer<TxtRecord>(DnsStatus.Found, [new TxtRecord(text)], TimeSpan.FromMinutes(1)));

    public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();
}
