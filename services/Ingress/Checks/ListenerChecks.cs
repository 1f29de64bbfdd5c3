using System.Runtime.CompilerServices;

namespace MailPipeline.Ingress.Checks;

/// <summary>The checks of one listener, by their stages.</summary>
internal sealed class ListenerChecks
{
    private readonly CheckRow[][] _stages;
    private readonly ICheck[] _observing;
    private readonly IngressTelemetry _telemetry;

    public ListenerChecks(CheckRow[] rows, IngressTelemetry telemetry)
    {
        _telemetry = telemetry;
        _stages = Array.ConvertAll(Enum.GetValues<CheckStage>(), stage => Array.FindAll(rows, row => row.Stage == stage));
        _observing = [.. rows.Select(row => row.Check).Where(check => check.ObservesContent)];
        ReadsHeader = Array.Exists(rows, row => row.Check.ReadsHeader);
    }

    /// <summary>The header section is kept for one of them.</summary>
    public bool ReadsHeader { get; }

    /// <summary>Who sees the content of the message that begins; null where no check wants that.</summary>
    public IContentObserver? ObserveContent(CheckContext context) => _observing switch
    {
        [] => null,
        [var only] => only.ObserveContent(context),
        _ => Together([.. _observing.Select(check => check.ObserveContent(context)).OfType<IContentObserver>()]),
    };

    private static IContentObserver? Together(IContentObserver[] observers) => observers switch
    {
        [] => null,
        [var only] => only,
        _ => new ContentObservers(observers),
    };

    public bool HasAny(CheckStage stage) => _stages[(int)stage].Length > 0;

    /// <summary>
    /// Asks the checks of a stage in their order. The first reply or redirect decides, and those behind it are not asked; what is said of the
    /// message goes into the context.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Verdict> AskAsync(CheckStage stage, CheckContext context, CancellationToken cancellation)
    {
        context.Begin(stage);
        var last = Verdict.GoOn;
        foreach (var row in _stages[(int)stage])
        {
            var verdict = await row.Check.CheckAsync(context, cancellation);
            if (verdict.IsGoOn)
                continue;
            Count(row.Name, verdict);
            if (verdict.Note is { } note)
                context.Add(note);
            if (verdict.EndsStage)
            {
                last = verdict;
                break;
            }
        }

        context.End(stage, last);
        return last;
    }

    private void Count(string check, Verdict verdict)
    {
        if (verdict.Reply is not null)
            _telemetry.Checked(check, "reply", rule: verdict.Rule);
        if (verdict.Redirect is not null)
            _telemetry.Checked(check, "redirect");
        if (verdict.Note is not { } note)
            return;
        if (note.HoldReason.Length > 0)
            _telemetry.Checked(check, "hold");
        foreach (var tag in note.Tags)
            _telemetry.Checked(check, "tag", tag: tag);
        if (note.Fields.Count > 0)
            _telemetry.Checked(check, "field");
    }
}
