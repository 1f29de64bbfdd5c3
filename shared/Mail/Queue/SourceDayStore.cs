using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// How many messages source addresses with a plan may send on a day, for all processes together. Each process takes some of them at a time and sends no
/// more than it has taken, so that whatever dies, at whatever moment, no more are sent than were planned.
/// </summary>
public sealed class SourceDayStore(MailDatabase database)
{
    /// <summary>What a process takes ahead, beside what it has mail for: one of so many parts of what is left.</summary>
    private const int Parts = 20;

    private const int MostAhead = 500;

    /// <summary>Days that are kept, for people.</summary>
    private const int KeptDays = 30;

    private static readonly Statement s_make = new(
        "INSERT INTO source_days (source, day, messages) VALUES ($1, $2, 0) ON CONFLICT (source, day) DO NOTHING") { Locks = SharedRows.SourceDays };

    private static readonly Statement s_lock = new(
        "SELECT messages FROM source_days WHERE source = $1 AND day = $2 {for_update}") { Locks = SharedRows.SourceDays };

    private static readonly Statement s_take = new(
        "UPDATE source_days SET messages = messages + $3 WHERE source = $1 AND day = $2 AND messages + $3 <= $4") { Locks = SharedRows.SourceDays };

    private static readonly Statement s_giveBack = new(
        "UPDATE source_days SET messages = messages - $3 WHERE source = $1 AND day = $2 AND messages >= $3") { Locks = SharedRows.SourceDays };

    private static readonly Statement s_forget = new("DELETE FROM source_days WHERE source = $1 AND day < $2") { Locks = SharedRows.SourceDays };

    /// <summary>
    /// Takes messages of the day for this process: so many as it has mail for, or some ahead, and never more than are left. Returns how many; 0: none are
    /// left. Where nobody knows whether it was committed nothing is taken twice, and what was taken is lost.
    /// </summary>
    /// <param name="day">Since 1970.</param>
    /// <param name="wanted">It has mail for so many.</param>
    /// <param name="plan">Of the whole day.</param>
    public Task<int> TakeAsync(string source, int day, int wanted, int plan) => database.WriteAsync(async transaction =>
    {
        if (await transaction.ExecuteAsync(s_make, source, day) > 0)
            await transaction.ExecuteAsync(s_forget, source, day - KeptDays);
        while (true)
        {
            var left = plan - (await transaction.QueryAsync(s_lock, r => r.GetInt64(0), source, day))[0];
            var taken = (int)Math.Clamp(Math.Max(wanted, Math.Min(left / Parts, MostAhead)), 0, Math.Max(left, 0));
            // Another caller of this transaction may have taken some since, whom the lock does not keep off.
            if (taken == 0 || await transaction.ExecuteAsync(s_take, source, day, taken, plan) > 0)
                return taken;
        }
    });

    /// <summary>What a process has taken and will not send is others'.</summary>
    public Task GiveBackAsync(string source, int day, int messages) =>
        database.WriteAsync(transaction => transaction.ExecuteAsync(s_giveBack, source, day, messages));
}
