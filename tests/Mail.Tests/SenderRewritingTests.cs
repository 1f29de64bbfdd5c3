using System.Text;
using CsCheck;
using MailPipeline.Smtp;
using MailPipeline.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Mail.Tests;

/// <summary>Senders of forwarded mail: what becomes of them, and what comes back to them.</summary>
public sealed class SenderRewritingTests : IDisposable
{
    private const string Secret = "correct horse battery staple";

    private readonly TempFolder _folder = new("srs");
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 12, 0, 0, TimeSpan.Zero));

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("ann@example.net")]
    [InlineData("Ann+news=x@Example.NET", "Ann+news=x@example.net")]
    [InlineData("\"ann lee\"@example.net")]
    [InlineData("\"ann@lee\\\\\"@example.net")]
    [InlineData("-=+@example.net")]
    [InlineData("josé@example.net")]
    [InlineData("ann@bücher.example", "ann@xn--bcher-kva.example")]
    // Nobody's return paths, though they look like some.
    [InlineData("SRS0@example.net")]
    [InlineData("SRS1=x=y@example.net")]
    [InlineData("SRS1=a=-b-==H=T=e.org=bob@example.net")]
    public void What_comes_back_goes_to_the_sender(string sender, string? back = null)
    {
        var rewriting = Make();
        Assert.Equal(SenderRewritingOutcome.Rewritten, rewriting.Rewrite(sender, out var rewritten));
        Assert.EndsWith("@srs.example.org", rewritten, StringComparison.Ordinal);
        Assert.StartsWith("SRS0=", rewritten.TrimStart('"'), StringComparison.Ordinal);
        Assert.Equal(new RewrittenSender(back ?? sender, ReturnPathFault.None), rewriting.Read(rewritten, _time.GetUtcNow()));
    }

    [Fact]
    public void Any_sender_that_is_rewritten_comes_back()
    {
        var rewriting = Make(("MaxLocalPartBytes", "256"));
        Gen.Select(Gen.String[Gen.Char["abzAZ019=+-._ @\"\\é"], 1, 40], Gen.Int[1, 3]).Sample((local, labels) =>
        {
            if (SmtpAddress.OfParts(local, string.Join('.', Enumerable.Repeat("d-1", labels))) is not { } sender)
                return;
            Assert.Equal(SenderRewritingOutcome.Rewritten, rewriting.Rewrite(sender.Text, out var rewritten));
            Assert.Equal(sender, SmtpAddress.Parse(rewriting.Read(rewritten, _time.GetUtcNow())!.Value.Sender));
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Hosts_that_change_the_case_of_letters_do_no_harm(bool toUpper)
    {
        var rewriting = Make();
        rewriting.Rewrite("Ann.Lee@example.net", out var rewritten);
        var changed = toUpper ? rewritten.ToUpperInvariant() : rewritten.ToLowerInvariant();
        var read = rewriting.Read(changed, _time.GetUtcNow())!.Value;
        Assert.Equal(ReturnPathFault.None, read.Fault);
        Assert.Equal("Ann.Lee@example.net", read.Sender, ignoreCase: true);
    }

    /// <summary>Each of them would make us a relay for whoever made it up.</summary>
    [Fact]
    public void Nothing_of_it_can_be_changed()
    {
        var rewriting = Make();
        rewriting.Rewrite("ann@example.net", out var rewritten);
        var local = rewritten[..rewritten.IndexOf('@', StringComparison.Ordinal)];
        for (var i = 5; i < local.Length; i++)
        {
            foreach (var other in "BX7=.q")
            {
                if (char.ToUpperInvariant(local[i]) == char.ToUpperInvariant(other))
                    continue;
                var changed = $"{local[..i]}{other}{local[(i + 1)..]}@srs.example.org";
                // One that is no address at all is nobody's.
                if (rewriting.Read(changed, _time.GetUtcNow()) is { } read)
                    Assert.True(read is { Sender: "", Fault: ReturnPathFault.Forged }, changed);
            }
        }
    }

    [Theory]
    [InlineData("SRS0=")]
    [InlineData("SRS0=AAAAAAAA=AA=example.net=")]
    [InlineData("SRS0=AAAAAAAA=AA==ann")]
    [InlineData("SRS0=AAAAAAAA==example.net=ann")]
    [InlineData("SRS0==AA=example.net=ann")]
    [InlineData("SRS0====")]
    [InlineData("SRS0=AAAAAAAA=AA=example.net")]
    [InlineData("SRS0=AAAAAAAA=A1=example.net=ann")]
    [InlineData("SRS0=AAAA=AA=example.net=ann")]
    [InlineData("SRS0=AAAAAAAA=AA=exa+mple.net=ann")]
    [InlineData("SRS0=AAAAAAAA=AA=srs.example.org=ann")]
    [InlineData("srs0=aaaaaaaa=aa=example.net=ann")]
    [InlineData("SRS1=")]
    [InlineData("SRS1=AAAAAAAAAA=example.net=")]
    [InlineData("SRS1=AAAAAAAAAA=example.net==")]
    [InlineData("SRS1=AAAAAAAAAA=example.net=x")]
    [InlineData("SRS1=AAAAAAAAAA=example.net==HHH=TT=example.com=ann")]
    public void What_is_made_up_is_forged(string local) =>
        Assert.Equal(new RewrittenSender("", ReturnPathFault.Forged), Make().Read($"{local}@srs.example.org", _time.GetUtcNow()));

    [Fact]
    public void The_parts_cannot_be_moved_against_each_other()
    {
        var rewriting = Make();
        rewriting.Rewrite("com.ann@example", out var rewritten);
        // What libsrs2 has a digest of, its parts without anything between them, is the same here.
        var moved = rewritten.Replace("=example=com.ann@", "=example.com=.ann@", StringComparison.Ordinal);
        Assert.NotEqual(rewritten, moved);
        Assert.NotEqual(ReturnPathFault.None, rewriting.Read(moved, _time.GetUtcNow())?.Fault ?? ReturnPathFault.Forged);
        rewriting.Rewrite("bxann@example.co", out rewritten);
        Assert.Equal(ReturnPathFault.Forged, rewriting.Read(rewritten.Replace("=example.co=bxann@", "=example.cob=xann@", StringComparison.Ordinal), _time.GetUtcNow())!.Value.Fault);
    }

    [Theory]
    [InlineData("ann@srs.example.org")]
    [InlineData("SRS0@srs.example.org")]
    [InlineData("SRS0+AAAAAAAA=AA=example.net=ann@srs.example.org")]
    [InlineData("SRS0=AAAAAAAA=AA=example.net=ann@example.org")]
    [InlineData("SRS2=AAAAAAAA=AA=example.net=ann@srs.example.org")]
    public void Other_addresses_are_others_business(string address) => Assert.Null(Make().Read(address, _time.GetUtcNow()));

    [Fact]
    public void Reports_are_taken_up_to_the_last_day_and_never_again()
    {
        var rewriting = Make(("MaxAge", "3.00:00:00"));
        rewriting.Rewrite("ann@example.net", out var rewritten);
        rewriting.Rewrite("SRS0=xyz=ab=example.com=bob@example.net", out var guarded);
        // Of a server whose clock is behind.
        Assert.Equal(ReturnPathFault.None, FaultAfter(-1));
        Assert.Equal(ReturnPathFault.Forged, FaultAfter(-2));
        for (var days = 0; days <= 3; days++)
            Assert.Equal(ReturnPathFault.None, FaultAfter(days));
        for (var days = 4; days < 1023; days++)
            Assert.Equal(ReturnPathFault.Expired, FaultAfter(days));
        // The number of the day comes again.
        for (var days = 1023; days < 1030; days++)
            Assert.Equal(ReturnPathFault.Forged, FaultAfter(days));

        ReturnPathFault FaultAfter(int days)
        {
            var (direct, other) = (rewriting.Read(rewritten, _time.GetUtcNow().AddDays(days))!.Value, rewriting.Read(guarded, _time.GetUtcNow().AddDays(days))!.Value);
            Assert.Equal(direct.Fault, other.Fault);
            return direct.Fault;
        }
    }

    [Theory]
    [InlineData("SRS0=HHH=TT=example.com=bob@first.example", "first.example==HHH=TT=example.com=bob")]
    [InlineData("srs0+HHH=TT=example.com=bob@First.Example", "first.example=+HHH=TT=example.com=bob")]
    [InlineData("SRS0-HHH=TT=example.com=bob@first.example", "first.example=-HHH=TT=example.com=bob")]
    [InlineData("SRS1=abcd=first.example==HHH=TT=example.com=bob@second.example", "first.example==HHH=TT=example.com=bob")]
    [InlineData("SRS1-abcd=first.example=+HHH=TT=example.com=bob@second.example", "first.example=+HHH=TT=example.com=bob")]
    public void What_others_have_rewritten_goes_back_to_the_first_of_them(string sender, string kept)
    {
        var rewriting = Make(("MaxLocalPartBytes", "128"));
        Assert.Equal(SenderRewritingOutcome.Rewritten, rewriting.Rewrite(sender, out var rewritten));
        Assert.Matches($"^SRS1=[A-Z2-7]{{10}}={System.Text.RegularExpressions.Regex.Escape(kept)}@srs\\.example\\.org$", rewritten);
        Assert.Equal($"SRS0{kept[(kept.IndexOf('=', StringComparison.Ordinal) + 1)..]}@first.example", rewriting.Read(rewritten, _time.GetUtcNow())!.Value.Sender);
    }

    /// <summary>A forwarder that is not ours stands behind us, and before us: reports find their way by both.</summary>
    [Theory]
    [InlineData('=')]
    [InlineData('+')]
    [InlineData('-')]
    public async Task Postsrsd_and_we_read_what_the_other_has_made(char separator)
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var other = await PostSrsdServer.StartAsync("other.example", separator, cancellation);
        var rewriting = Make(("MaxLocalPartBytes", "128"));

        rewriting.Rewrite("ann+news@example.net", out var ours);
        var guarded = await other.RewriteAsync(ours, cancellation);
        Assert.Matches($"^SRS1{System.Text.RegularExpressions.Regex.Escape($"{separator}")}....=srs\\.example\\.org==.*@other\\.example$", guarded);
        var back = await other.ReverseAsync(guarded, cancellation);
        Assert.Equal(ours, back);
        Assert.Equal("ann+news@example.net", rewriting.Read(back, _time.GetUtcNow())!.Value.Sender);
        // It comes to us a second time.
        rewriting.Rewrite(guarded, out var again);
        Assert.StartsWith("SRS1=", again, StringComparison.Ordinal);
        Assert.Equal(ours, rewriting.Read(again, _time.GetUtcNow())!.Value.Sender);

        var theirs = await other.RewriteAsync("bob@example.com", cancellation);
        Assert.StartsWith($"SRS0{separator}", theirs, StringComparison.Ordinal);
        rewriting.Rewrite(theirs, out var kept);
        Assert.StartsWith("SRS1=", kept, StringComparison.Ordinal);
        var first = rewriting.Read(kept, _time.GetUtcNow())!.Value.Sender;
        Assert.Equal(theirs, first);
        Assert.Equal("bob@example.com", await other.ReverseAsync(first, cancellation));
        // By way of a third: it drops us, and its reports go to the first as well.
        await using var third = await PostSrsdServer.StartAsync("third.example", '=', cancellation);
        Assert.Equal(theirs, await third.ReverseAsync(await third.RewriteAsync(kept, cancellation), cancellation));
    }

    [Fact]
    public void A_sender_that_would_grow_too_long_stays_as_he_is()
    {
        var (strict, wide) = (Make(), Make(("MaxLocalPartBytes", "65")));
        // "SRS0=", 8 of digest, "=", 2 of day, "=", 11 of domain, "=": 30 octets.
        Assert.Equal(SenderRewritingOutcome.Rewritten, strict.Rewrite($"{new string('a', 35)}@example.net", out var fits));
        Assert.Equal(64, fits.IndexOf('@', StringComparison.Ordinal));
        var longer = $"{new string('a', 36)}@example.net";
        Assert.Equal(SenderRewritingOutcome.TooLong, strict.Rewrite(longer, out var none));
        Assert.Equal("", none);
        Assert.Equal(SenderRewritingOutcome.Rewritten, wide.Rewrite(longer, out _));
        // Octets, not characters.
        Assert.Equal(SenderRewritingOutcome.TooLong, strict.Rewrite($"{new string('é', 18)}@example.net", out _));
        Assert.Equal(SenderRewritingOutcome.TooLong, Make(("MaxLocalPartBytes", "256")).Rewrite($"{new string('a', 250)}@example.net", out _));
    }

    [Theory]
    [InlineData("ann@[192.0.2.1]")]
    [InlineData("postmaster")]
    public void A_sender_without_a_domain_stays_as_he_is(string sender)
    {
        Assert.Equal(SenderRewritingOutcome.Unfit, Make().Rewrite(sender, out var rewritten));
        Assert.Equal("", rewritten);
    }

    [Fact]
    public void Secrets_are_changed_without_a_restart()
    {
        var rewriting = Make();
        rewriting.Rewrite("ann@example.net", out var old);
        Write("# The new one signs.\n\n  a new secret that is long \n" + Secret + "\n");
        _time.Advance(TimeSpan.FromSeconds(10));
        rewriting.Rewrite("ann@example.net", out var renewed);
        Assert.NotEqual(old, renewed);
        Assert.Equal((ReturnPathFault.None, ReturnPathFault.None), (FaultOf(old), FaultOf(renewed)));

        Write("a new secret that is long");
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal((ReturnPathFault.Forged, ReturnPathFault.None), (FaultOf(old), FaultOf(renewed)));

        ReturnPathFault FaultOf(string address) => rewriting.Read(address, _time.GetUtcNow())!.Value.Fault;
    }

    [Fact]
    public void A_file_that_cannot_be_used_leaves_the_secrets_as_they_were_and_is_named_once()
    {
        var log = new FakeLogger<SenderRewriting>();
        var rewriting = Make(log);
        rewriting.Rewrite("ann@example.net", out var rewritten);
        Write("short");
        for (var i = 0; i < 3; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(10));
            Assert.Equal(ReturnPathFault.None, rewriting.Read(rewritten, _time.GetUtcNow())!.Value.Fault);
        }

        Assert.Contains("the secret in line 1 has 5 octets; it must have 16 or more", Assert.Single(log.Collector.GetSnapshot()).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Domain", "", "Srs:SecretFile is set, but Srs:Domain is not; both are needed, or none")]
    [InlineData("Domain", "no domain", "Srs:Domain is 'no domain'; it must be a domain name such as srs.example.org")]
    [InlineData("Domain", "[192.0.2.1]", "Srs:Domain is '[192.0.2.1]'; it must be a domain name such as srs.example.org")]
    [InlineData("SecretFile", "", "Srs:Domain is 'srs.example.org', but Srs:SecretFile is not set; it must name a file with one secret a line")]
    [InlineData("SecretFile", "/nowhere/secrets", "Srs:SecretFile is '/nowhere/secrets', which cannot be used: ")]
    [InlineData("MaxAge", "0", "Srs:MaxAge is 00:00:00; it must be 1 to 365 days")]
    [InlineData("MaxLocalPartBytes", "63", "Srs:MaxLocalPartBytes is 63; it must be 64 to 256")]
    [InlineData("AcceptFrom", "Nobody", "Srs:AcceptFrom is 'Nobody'; it must be one of Null, Any")]
    [InlineData("CheckInterval", "0", "Srs:CheckInterval is 00:00:00; it must be 10 ms to 1 day")]
    [InlineData("Secret", "x", "There is no setting 'Srs:Secret'")]
    public void What_is_not_allowed_stops_the_start(string setting, string value, string reason)
    {
        var failure = Assert.Throws<OptionsValidationException>(() => Make((setting, value)));
        Assert.StartsWith(reason, Assert.Single(failure.Failures), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "it has 0 secrets; it must have 1 to 10, one a line")]
    [InlineData("# only a comment", "it has 0 secrets; it must have 1 to 10, one a line")]
    [InlineData("0123456789abcdef\nshort", "the secret in line 2 has 5 octets; it must have 16 or more")]
    public void A_file_without_a_good_secret_stops_the_start(string content, string reason)
    {
        var failure = Assert.Throws<OptionsValidationException>(() => Make(NullLogger<SenderRewriting>.Instance, content));
        Assert.Equal($"Srs:SecretFile is '{_folder["secrets"]}', which cannot be used: {reason}", Assert.Single(failure.Failures));
    }

    [Fact]
    public void Where_it_is_off_nothing_is_asked_of_it()
    {
        var rewriting = new SenderRewriting(Options.Create(new SenderRewritingOptions()), _time, NullLogger<SenderRewriting>.Instance);
        Assert.False(rewriting.Rewrites);
        Assert.Null(rewriting.Read("SRS0=AAAAAAAA=AA=example.net=ann@srs.example.org", _time.GetUtcNow()));
        Assert.False(rewriting.IsOwnDomain(""));
    }

    private SenderRewriting Make(params (string Name, string Value)[] settings) => Make(NullLogger<SenderRewriting>.Instance, Secret, settings);

    private SenderRewriting Make(ILogger<SenderRewriting> log, string secrets = Secret, params (string Name, string Value)[] settings)
    {
        Write(secrets);
        var configuration = new Dictionary<string, string?> { ["Srs:Domain"] = "srs.example.org", ["Srs:SecretFile"] = _folder["secrets"] };
        foreach (var (name, value) in settings)
            configuration[$"Srs:{name}"] = value;
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(configuration).Build());
        services.AddSingleton<TimeProvider>(_time);
        services.AddSingleton(log);
        services.AddSenderRewriting();
        return services.BuildServiceProvider().GetRequiredService<SenderRewriting>();
    }

    private void Write(string secrets) => File.WriteAllText(_folder["secrets"], secrets, new UTF8Encoding(false));
}
