namespace MailPipeline.Mail.Tests;

public sealed class JointReadTests
{
    private readonly List<(long[] Keys, TaskCompletionSource<List<(long, string)>> Answer)> _asked = [];
    private readonly SemaphoreSlim _questions = new(0);
    private readonly JointReads<string> _reads;

    public JointReadTests() => _reads = new JointReads<string>(keys =>
    {
        var answer = new TaskCompletionSource<List<(long, string)>>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_asked)
            _asked.Add(([.. keys], answer));
        _questions.Release();
        return answer.Task;
    });

    [Fact]
    public async Task Who_comes_alone_is_asked_for_at_once_and_who_comes_meanwhile_goes_with_the_next()
    {
        var (first, second) = await KeepBusyAsync();
        var others = Enumerable.Range(3, 5).Select(key => _reads.ReadAsync(key)).ToList();
        Assert.Equal(2, _asked.Count);

        Answer(0);
        Assert.Equal("1", await first);
        await NextAsync();
        Assert.Equal([3, 4, 5, 6, 7], _asked[2].Keys.Order());
        Answer(2);
        Answer(1);
        Assert.Equal("2", await second);
        Assert.Equal<IEnumerable<string?>>(["3", "4", "5", "6", "7"], await Task.WhenAll(others));
    }

    [Fact]
    public async Task A_row_is_one_readers_and_what_is_not_there_is_null()
    {
        var (first, second) = await KeepBusyAsync();
        var (one, again, missing) = (_reads.ReadAsync(3), _reads.ReadAsync(3), _reads.ReadAsync(-4));
        Answer(0);
        await NextAsync();
        Assert.Equal([3], _asked[2].Keys);
        Answer(1);
        await NextAsync();
        Assert.Equal([-4, 3], _asked[3].Keys.Order());
        Answer(2);
        Answer(3);
        Assert.Equal<IEnumerable<string?>>(["3", "3", null], await Task.WhenAll(one, again, missing));
        Assert.Equal(("1", "2"), (await first, await second));
    }

    [Fact]
    public async Task A_fault_is_told_to_those_who_asked_and_the_next_are_asked_for()
    {
        var (one, two) = await KeepBusyAsync();
        var later = _reads.ReadAsync(3);
        _asked[0].Answer.SetException(new IOException());
        _asked[1].Answer.SetException(new IOException());
        await Assert.ThrowsAsync<IOException>(() => one);
        await Assert.ThrowsAsync<IOException>(() => two);
        await NextAsync();
        Answer(2);
        Assert.Equal("3", await later);
    }

    [Fact]
    public async Task A_row_that_cannot_be_read_fails_nobody_who_asked_for_another()
    {
        var (first, second) = await KeepBusyAsync();
        var (sound, damaged, missing) = (_reads.ReadAsync(3), _reads.ReadAsync(4), _reads.ReadAsync(-5));
        Answer(0);
        await NextAsync();
        _asked[2].Answer.SetException(new IOException("one of them"));
        for (var i = 3; i <= 5; i++)
            await NextAsync();
        Assert.Equal([-5, 3, 4], _asked[3..].Select(asked => Assert.Single(asked.Keys)).Order());
        for (var i = 3; i <= 5; i++)
        {
            if (_asked[i].Keys is [4])
                _asked[i].Answer.SetException(new IOException("this one"));
            else
                Answer(i);
        }
        Answer(1);
        Assert.Equal(("3", null), (await sound, await missing));
        Assert.Equal("this one", (await Assert.ThrowsAsync<IOException>(() => damaged)).Message);
        Assert.Equal(("1", "2"), (await first, await second));
    }

    /// <summary>As many questions as there may be at once.</summary>
    private async Task<(Task<string?> First, Task<string?> Second)> KeepBusyAsync()
    {
        var first = _reads.ReadAsync(1);
        await NextAsync();
        var second = _reads.ReadAsync(2);
        await NextAsync();
        return (first, second);
    }

    private async Task NextAsync() => Assert.True(await _questions.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

    /// <summary>A row for each key above 0.</summary>
    private void Answer(int question) => _asked[question].Answer.SetResult([.. _asked[question].Keys.Where(key => key > 0).Select(key => (key, $"{key}"))]);
}
