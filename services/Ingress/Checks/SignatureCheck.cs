using MailPipeline.Authentication;
using MailPipeline.Authentication.Arc;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Dns;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Who signed a message (RFC 6376) and who vouches for what it was before it was changed (RFC 8617). It refuses nothing (RFC 6376 §6.3): what it
/// finds stands in <see cref="CheckContext.Signatures"/> for the checks behind it.
/// </summary>
internal sealed class SignatureCheck(DnsCache dns, IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time) : ICheck
{
    private readonly SignatureOptions _options = options.Value.Checks.Signatures;
    private readonly KeyRecords _records = new();
    private readonly TimeSpan _maxTime = options.Value.Checks.Authentication.MaxTime;

    public bool ObservesContent => true;

    /// <summary>Where it is not asked for by itself it is for those alone whose messages <see cref="MessageAuthenticationCheck"/> judges.</summary>
    public IContentObserver? ObserveContent(CheckContext context)
    {
        context.SignatureObserver = !context.IsOn(_options.Listeners) && context.Spf is null ? null
            // Keys that do not come leave time to ask what the author's domain wants.
            : context.Spf is { } spf ? new SignatureObserver(spf.Dns.Keys, _records, _options.MaxSignatures, _options.MaxWait < _maxTime ? _options.MaxWait : _maxTime / 2, time)
            : new SignatureObserver(dns, _records, _options.MaxSignatures, _options.MaxWait, time);
        return context.SignatureObserver;
    }

    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (context.SignatureObserver is not { } observer)
            return Verdict.GoOn;
        context.Spf?.Wait();
        var signatures = await observer.VerifyAsync();
        foreach (var signature in signatures.Dkim)
            telemetry.SignatureJudged(signature.Status);
        telemetry.SignaturesNotJudged(signatures.UnjudgedSignatures);
        telemetry.ChainJudged(signatures.Arc.Status);
        context.Signatures = signatures;
        return Verdict.GoOn;
    }
}

/// <summary>What was found of the signatures of one message.</summary>
/// <param name="Dkim">From the top of the header down; empty where it has none.</param>
/// <param name="UnjudgedSignatures">DKIM signatures beyond the bound.</param>
/// <param name="Header">Its header section as received; null where that is too long to be read.</param>
internal sealed record MessageSignatures(IReadOnlyList<DkimResult> Dkim, int UnjudgedSignatures, ArcResult Arc, MessageHeader? Header);

/// <summary>One message on its way, as its signatures have it. Keys are asked for when the header section has ended, beside the body.</summary>
internal sealed class SignatureObserver(IDnsLookup dns, KeyRecords records, int maxSignatures, TimeSpan maxWait, TimeProvider time) : IContentObserver
{
    private readonly SignedContent _content = new(new VerificationLimits { MaxSignatures = maxSignatures }, records);
    private readonly CancellationTokenSource _bound = new(Timeout.InfiniteTimeSpan, time);
    private bool _hasAsked;

    public void Take(ReadOnlySpan<byte> content)
    {
        _content.Take(content);
        if (_hasAsked || !_content.IsHeaderOver)
            return;
        _hasAsked = true;
        _content.AskForKeys(dns, _bound.Token);
    }

    public void End() => _content.End();

    /// <summary>Once the content has ended; one bound on the time for all keys.</summary>
    public async ValueTask<MessageSignatures> VerifyAsync()
    {
        _bound.CancelAfter(maxWait);
        var now = time.GetUtcNow();
        var dkim = await _content.VerifyAsync(dns, now, _bound.Token);
        return new MessageSignatures(dkim, _content.UnjudgedSignatures, await _content.VerifyArcAsync(dns, now, _bound.Token), _content.Header);
    }

    public void Dispose()
    {
        _bound.Cancel();
        _bound.Dispose();
        _content.Dispose();
    }
}
